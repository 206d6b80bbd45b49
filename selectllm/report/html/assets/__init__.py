"""What a page brings: template, style, scripts, and one copy of Vega with its licences."""
