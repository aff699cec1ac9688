"""The door: runs, records and results by HTTP, for programs in any language; see docs/http.md."""

from producer.web.door.door import Door
from producer.web.door.tokens import Tokens

__all__ = ["Door", "Tokens"]
