"""What entrypoint.sh needs to know: the environment, meltano.yml, every program's opinion of its settings, Meltano's state.

Runs in Meltano's own environment and imports Meltano only where nothing else will do: its import takes 2 CPU seconds.
"""
