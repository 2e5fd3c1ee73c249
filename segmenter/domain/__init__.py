"""What a customer is, how he moves and why: pure functions of events, their times and the rulebook."""
