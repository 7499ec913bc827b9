"""A block of steps of a whole network in one compiled call: ``driver``; ``tables`` says what it reads."""
