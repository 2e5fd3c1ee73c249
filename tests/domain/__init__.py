"""The core, rule by rule: no loop, no mock, no sleep."""
