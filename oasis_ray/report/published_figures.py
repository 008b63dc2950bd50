"""Published statistics, to compare a data set with. The published rates of the funnel are in the recipe (`rates`)."""

# Oasis-500k, by langdetect (arXiv 2503.08741): the others are Korean, Norwegian, Vietnamese, French, German and more.
LANGUAGES = {"en": 0.7852, "zh": 0.1866}
# For lengths and verbs the publication gives comparisons but no numbers.
LENGTHS = "Published: texts of Oasis-500k are longer than those of LLaVA-NeXT, and their lengths vary more."
VERBS = "Published: LLaVA-NeXT relies on “answer question”; the verbs and objects of Oasis-500k are more varied."
