# `make up` is the main job, `make test` proves it. Everything else is for those who change Skep.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help up down test test-cluster test-garage lint fuzz bench dist ci check-pages

SKEP := target/debug/skep
APP := examples/honeydue

# What honeyDue's own images are made of, and what the tests need besides: real servers, and foreign judges of our protocols.
APP_PACKAGES := postgresql redis-server
TEST_PACKAGES := $(APP_PACKAGES) age buildah busybox-static chromium chromium-driver curl debootstrap docker-registry git groff-base pgbouncer python3 python3-boto3 python3-venv skopeo

help:
	@echo "make up     install what is missing, build Skep, start hive, deploy honeyDue, print its URLs"
	@echo "make down   stop it; its data stays (make down WIPE=1 removes that too)"
	@echo "make test   run every test"
	@echo "make test-cluster  the end-to-end tests on the cluster of SKEP_TEST_KUBECONFIG, images by way of SKEP_TEST_REGISTRY"
	@echo "make test-garage  what is sent to a bucket, judged by Garage, a second S3 server, when it is installed"
	@echo "make lint   formatting, licences, bans and sources, clippy"
	@echo "make fuzz   made-up inputs for each reader of files, FUZZ_SECONDS=60 each"
	@echo "make dist   one static program for others: archive, image, checksums, in target/dist"
	@echo "make bench  print speed and size, with the floor beside each"
	@echo "make ci     what has to pass before a change lands"

# Everything at once, as the tests have it: cargo builds what two packages share once for each set of packages that it is asked for.
up:
	@scripts/need $(APP_PACKAGES)
	cargo build --workspace --bins
	$(SKEP) -C $(APP) up

down:
	@if [ -x $(SKEP) ]; then $(SKEP) down $(if $(WIPE),--wipe); else echo "Skep is not built: nothing runs"; fi

test:
	@scripts/need $(TEST_PACKAGES)
	@scripts/python-peers
	@scripts/test

test-cluster:
	@scripts/need $(TEST_PACKAGES)
	@scripts/test-cluster

test-garage:
	@scripts/need $(TEST_PACKAGES)
	@scripts/test-garage

lint:
	@scripts/need python3
	cargo fmt --all --check
	scripts/deny
	cargo clippy --workspace --all-targets -- -D warnings

fuzz:
	@scripts/need g++
	@scripts/fuzz

bench:
	@scripts/need $(TEST_PACKAGES) wrk
	@scripts/bench $(ONLY)

# The README's commands, as a new user would type them, and a build for machines without hive. The tests run a program that is linked as
# the one that others get. Nothing is built twice there, so nothing is kept for a second build or for a debugger. Each part says how long
# it took.
ci: export CARGO_INCREMENTAL := 0
ci: export CARGO_PROFILE_DEV_DEBUG := 0
ci: export TIMEFORMAT = -- that took %0R s
ci:
	time $(MAKE) lint
	time cargo check --package skep --no-default-features
	time PROFILE=dev $(MAKE) dist
	time SKEP_SEEDS=1000 SKEP_TEST_DIST=$(CURDIR)/target/dist NEXTEST_PROFILE=ci $(MAKE) test
	time $(MAKE) up
	time $(MAKE) check-pages
	time $(MAKE) up
	time $(MAKE) down

dist:
	@scripts/need binutils buildah ca-certificates
	@scripts/dist

check-pages:
	@scripts/check-pages
