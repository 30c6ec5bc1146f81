"""From an intent to a draft: reuse what is there, compose it, or have a model author it. No draft is trusted here."""
