"""Numbers in, numbers out: ranks and hits, intervals, significance, calibration, the name-match baseline."""
