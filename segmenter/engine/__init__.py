"""One lane at work: records in, one commit, changes out. Knows ports only."""
