"""`carom bench`: how fast Carom is, as ratios against a peer measured in the same run."""
