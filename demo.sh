#!/bin/sh
# The main job, as `make demo` runs it: decide once, execute, look. Needs `ritesmith` on the PATH; works in a new folder.
set -eu

folder=$(mktemp -d)
cd "$folder"

say() { printf '\n$ %s\n' "$*"; "$@"; }
newest_run() { ritesmith runs --limit 1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["id"])'; }

say ritesmith init --demo
say ritesmith forge "process an order refund, with approval above 100" --examples refund_examples.json
say ritesmith run orders.refund --input @order.json
run=$(newest_run)
say ritesmith approve "$run" --comment "the parcel came back"
say ritesmith trace "$run"
printf '\nAn order whose customer cannot be told: what was done is undone, and the exit code says so.\n'
say ritesmith run orders.refund --input '{"order_id": "ORD-1004"}' || test $? -eq 8
say ritesmith runs
printf '\nEverything is in %s; go on there with %s\n' "$folder/registry.db" "$(command -v ritesmith)"
