"""What kept answers offer: the readings of whoever gave the answers, who has the credit."""

from runner.core.provider import Provider

PROVIDERS = (Provider(name="replay", credits={}),)
