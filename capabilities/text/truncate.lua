--[[ capability
{
  "name": "text.truncate",
  "intent": "shorten a text to a maximum length",
  "aliases": [
    "truncate a text with an ellipsis",
    "cut a long text off after some characters",
    "limit the length of a text"
  ],
  "input": {
    "type": "object",
    "required": ["text", "length"],
    "properties": {
      "text": {"type": "string"},
      "length": {
        "type": "integer",
        "minimum": 1,
        "description": "most characters of the result, the ending included"
      },
      "ending": {"type": "string", "description": "put where the text was cut; an ellipsis when left out"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text", "truncated"],
    "properties": {"text": {"type": "string"}, "truncated": {"type": "boolean"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "a long sentence", "length": 7}, "output": {"text": "a long…", "truncated": true}},
    {"input": {"text": "short", "length": 5}, "output": {"text": "short", "truncated": false}},
    {
      "input": {"text": "déjà vu encore", "length": 7, "ending": "..."},
      "output": {"text": "déjà...", "truncated": true}
    },
    {"input": {"text": "abcdef", "length": 2, "ending": "..."}, "error": "ending_too_long"}
  ]
}
]]
function run(input, context)
  local text, ending = input.text, input.ending or "…"
  if utf8.len(text) <= input.length then return { text = text, truncated = false } end
  local kept = input.length - utf8.len(ending)
  if kept < 0 then fail("ending_too_long", "the ending is longer than the length allowed") end
  local stop = utf8.offset(text, kept + 1) - 1
  return { text = text:sub(1, stop):gsub("%s+$", "") .. ending, truncated = true }
end
