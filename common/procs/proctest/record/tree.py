"""Writes what this user sees of /proc as a tree for the tests: an archive of
files in the form of golang.org/x/tools/txtar, with zero bytes as \\0, a file
that is refused as "unreadable" and a link as "link TARGET"."""
import os, sys

OF_PROCESS = ["cmdline", "stat", "status", "smaps_rollup"]
OF_MACHINE = ["meminfo", "uptime", "vmstat", "sys/kernel/random/boot_id", "self/mountinfo"]
KEEP = ("oom_kill ", "nr_free_pages ", "pgfault ", "pswpin ", "pswpout ")


def show(path):
    try:
        text = open("/proc/" + path, "rb").read()
    except PermissionError:
        text = b"unreadable\n"
    except OSError:
        return
    if path == "vmstat":
        text = b"".join(l for l in text.splitlines(True) if l.startswith(tuple(k.encode() for k in KEEP)))
    if path == "self/mountinfo":
        text = b"".join(l for l in text.splitlines(True) if b" - proc " in l and b" /proc " in l)
        text, path = text.replace(b" /proc ", b" ROOT "), os.readlink("/proc/self") + "/mountinfo"
    text = text.replace(b"\\", b"\\\\").replace(b"\0", b"\\0")
    sys.stdout.write("-- %s --\n%s%s" % (path, text.decode(), "" if text.endswith(b"\n") or not text else "\n"))


print(sys.argv[1] + "\n")
for pid in sorted((int(p) for p in os.listdir("/proc") if p.isdigit())):
    for name in OF_PROCESS:
        show("%d/%s" % (pid, name))
for name in OF_MACHINE:
    show(name)
print("-- self --\nlink " + os.readlink("/proc/self"))
