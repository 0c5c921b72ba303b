#!/usr/bin/env python3
"""What Zulip's manage.py process_queue looks like to the kernel: same command
line, same processes (Django's real reloader above the threads of a small
host), memory as the queue's line in SIZES says."""
import os, sys, threading, time

SIZES = {"embed_links": 141, "email_senders": 97, "deferred_work": 118, "threads": 260}  # MiB
urlpatterns = []


def work(name):
    held = bytearray(os.urandom(1 << 20) * int(os.environ.get("HOLD", SIZES.get(name, 60))))
    while held:
        time.sleep(3600)


def threads():
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(3600,)).start()
    work("threads")


if "--multi_threaded" in sys.argv:
    import django
    from django.conf import settings
    from django.utils import autoreload

    settings.configure(ROOT_URLCONF=__name__, DEBUG=False)
    django.setup()
    autoreload.run_with_reloader(threads)
else:
    work(next(a for a in sys.argv if a.startswith("--queue_name")).partition("=")[2])
