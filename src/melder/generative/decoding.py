"""Which name of the trie a language model would go on with after a prompt: three ways to find out.

| | finds | costs |
| --- | --- | --- |
| `beam_search` | what the published system answers; may miss the best name | least: `beams` prefixes a token |
| `best_names` | the best names, exactly | as many prefixes as could still lead to a better name |
| `score_names` | the score of every name, for exact ranks | all prefixes of all names |

All take prompts of many mentions at once, and all share what was computed for a prompt. Scores are the mean or the sum
of the log-probabilities of a name's tokens and its end, each over the whole vocabulary.
"""

from __future__ import annotations

from melder.generative.beam_search import beam_search
from melder.generative.best_names import best_names
from melder.generative.found import Found, Score
from melder.generative.name_scores import NameScores, score_names, score_sequences

__all__ = ["Found", "NameScores", "Score", "beam_search", "best_names", "score_names", "score_sequences"]
