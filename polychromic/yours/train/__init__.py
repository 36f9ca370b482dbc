"""Training an adapter on anybody's rows: `polychromic train --data FILE`."""
