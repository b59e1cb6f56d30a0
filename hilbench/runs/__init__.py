"""What a run leaves behind: the journal while it measures, the sealed frame afterwards."""
