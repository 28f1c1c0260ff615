"""What was learned from labelled mentions, as evidence for their entities: added to any search's scores."""
