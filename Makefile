# make            build every plugin and the exporter into bin/
# make test       install what the tests need, run all of them
# make demo       show the product alive until Ctrl-C
# make screenshots   take the pictures of the status page in docs/images, as root
# make day        go through a day of situations, as root: SITUATION=regexp, WRITE=file
# make systemd    prove the units on a systemd that is booted beside the machine's, as root
# make bench      measure against the peers a user would pick; PART=plugins or PART=scale: those alone
# make generate   bring generated files up to date
# make previews   draw the dashboards from servers that run and break for minutes, into docs/images
# make lint       gofmt, go vet, staticcheck
# make new NAME=x lay out the folder of a new check
# make install    plugins, exporter and systemd units, below DESTDIR and PREFIX

GO      ?= go
PREFIX  ?= /usr/local
FLAGS   := -trimpath -ldflags "-s -w"

.PHONY: all test demo screenshots day systemd bench generate previews lint new clean install install-units

all:
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build $(FLAGS) -o bin/ ./plugins/*/check_* ./exporter/belfry_exporter
	@CGO_ENABLED=0 $(GO) run ./generate/belfry_aliases bin
	@touch bin/.built

# install.sh brings Debian's packages of the servers, without starting,
# stopping or replacing any service of the machine.
test:
	@testbed/install.sh test
	$(GO) test -race -timeout 20m ./...

demo: all
	@testbed/install.sh
	@$(GO) build -o bin/belfry_demo ./testbed/belfry_demo && bin/belfry_demo

# In a host name of its own, which the pictures show.
screenshots: all
	@testbed/install.sh test
	@$(GO) build -o bin/belfry_demo ./testbed/belfry_demo
	unshare --uts sh -c 'hostname chat1.example.org && exec bin/belfry_demo -dir /srv/belfry -screenshots docs/images'

day: all
	@testbed/install.sh
	@$(GO) build -o bin/belfry_day ./testbed/belfry_day && bin/belfry_day -situation '$(SITUATION)' -write '$(WRITE)'

systemd:
	@testbed/install.sh test
	@$(GO) build -o bin/belfry_systemd ./testbed/belfry_systemd && bin/belfry_systemd

bench: all
	@testbed/install.sh bench
	$(GO) run ./testbed/belfry_bench -part $(or $(PART),all)

generate:
	$(GO) run ./generate/belfry_generate

previews:
	@testbed/install.sh test
	$(GO) run ./dashboards/belfry_preview -dir /tmp/company -pictures docs/images

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

new:
	@test -n "$(NAME)" || { echo "usage: make new NAME=redis_memory"; exit 2; }
	$(GO) run ./generate/belfry_new $(NAME)

# What "make" built is not built again: root often has no Go in its path (sudo sets its own), and git tells it nothing
# about a checkout that is somebody else's, without which go does not build.
install: install-units
	@test -e bin/.built && test -z "$$(find go.mod go.sum common exporter plugins -type f -newer bin/.built -print -quit)" || $(MAKE) all
	install -d $(DESTDIR)$(PREFIX)/lib/nagios/plugins $(DESTDIR)$(PREFIX)/bin
	cp -P bin/check_* $(DESTDIR)$(PREFIX)/lib/nagios/plugins/
	install bin/belfry_exporter $(DESTDIR)$(PREFIX)/bin/

# Nothing is enabled, started or put into /etc.
UNITS := belfry-exporter.service belfry-exporter.socket belfry-check@.service belfry-check@.timer
install-units:
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d
	for unit in $(UNITS); do \
		sed 's,/usr/local/\(bin/belfry\|lib/nagios\),$(PREFIX)/\1,g' systemd/$$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; \
		chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; \
	done
	install -m 644 systemd/belfry.sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/belfry.conf

clean:
	rm -rf bin
