"""The Faust app: a member of the consumer group that hands whole polls to the engine. See docs/stream.md."""
