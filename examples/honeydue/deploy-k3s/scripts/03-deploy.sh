#!/usr/bin/env bash
# One line: everything that this script used to do is skep's, and its old arguments (--skip-build, --tag T) still work.
exec skep -C "$(dirname "${BASH_SOURCE[0]}")/../.." deploy --target "${SKEP_TARGET:-production}" "$@"
