"""What the sandbox offers: invented readings, or files played back."""

from runner.core.provider import Provider

PROVIDERS = (
    Provider(
        name="sandbox",
        credits={
            "invented": "Synthetic readings of the sandbox: nothing was measured.",
            "sandbox": "Readings: the sandbox, which invents them or plays files back; the record "
            "does not say which. Do not take them for measured.",
        },
    ),
)
