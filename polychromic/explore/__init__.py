"""The page that a reader explores: drafts that stand behind the numbers, and one HTML file without any request to the network."""
