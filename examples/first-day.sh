#!/usr/bin/env bash
# A shop's first day, worked off without any server: check the rules, then see who moves and why.
set -euo pipefail
cd "$(dirname "$0")"
segmenter=${SEGMENTER:-../.venv/bin/segmenter}

for rulebook in rulebooks/*.yaml; do
  case $rulebook in *.expect.yaml) continue ;; esac  # what `segmenter test` expects of the rulebook beside it
  "$segmenter" rulebook check "$rulebook"
done
"$segmenter" simulate events/first-day.jsonl --rulebook rulebooks/small-shop.yaml --until 2026-12-31T00:00:00Z
"$segmenter" simulate events/first-day.jsonl --rulebook rulebooks/small-shop.yaml --changes - | sed -n 1,3p
