"""Figures that others have published, to set beside one's own. The shares of the funnel are in the recipe (`rates`)."""

# Oasis-500k, by langdetect (arXiv 2503.08741): the others are Korean, Norwegian, Vietnamese, French, German and more.
LANGUAGES = {"en": 0.7852, "zh": 0.1866}
# Of lengths and verbs the publication tells the order, and no figures that could be set beside these.
LENGTHS = "Published: instructions and responses of Oasis-500k are longer than LLaVA-NeXT's, and spread wider."
VERBS = "Published: LLaVA-NeXT leans on “answer question”; Oasis-500k's verbs and objects are more varied."
