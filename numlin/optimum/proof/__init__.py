"""The global minimum as a theorem: `rational` proves it in exact arithmetic, `certificate` writes
the proof down, `verifier` checks it from the data alone and shares no code with the others."""
