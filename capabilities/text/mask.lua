--[[ capability
{
  "name": "text.mask",
  "intent": "hide all but the last characters of a text",
  "aliases": ["mask a card number or account number", "replace the beginning of a secret with asterisks"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {
      "text": {"type": "string"},
      "visible": {
        "type": "integer",
        "minimum": 0,
        "description": "characters left readable at the end; 4 when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"text": "4111111111111111"}, "output": {"text": "************1111"}},
    {"input": {"text": "secret", "visible": 0}, "output": {"text": "******"}},
    {"input": {"text": "élan", "visible": 1}, "output": {"text": "***n"}},
    {"input": {"text": "123", "visible": 4}, "error": "too_short"}
  ]
}
]]
function run(input, context)
  local visible, length = input.visible or 4, utf8.len(input.text)
  if length < visible then fail("too_short", "a text shorter than " .. visible .. " characters would show whole") end
  local from = utf8.offset(input.text, length - visible + 1)
  return { text = string.rep("*", length - visible) .. input.text:sub(from) }
end
