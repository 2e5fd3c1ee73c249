"""What a lane is once a commit of it is stored, known without asking the store."""

from collections import Counter
from dataclasses import replace

from segmenter.ports import Commit, LaneState


def state_after(state: LaneState, commit: Commit) -> LaneState:
    """Return what a lane is once this commit is stored."""
    sizes = Counter(state.sizes)
    sizes.update(commit.sizes)
    return replace(
        state,
        version=commit.version + 1,
        notes=commit.notes,
        positions={**state.positions, **{source: after for source, (_, after) in commit.positions.items()}},
        taken={**state.taken, **commit.taken},
        markers={**state.markers, **commit.markers},
        next_seq={**state.next_seq, **commit.next_seq},
        next_page=commit.pages[-1].number + 1 if commit.pages else state.next_page,
        sizes=sizes,
    )
