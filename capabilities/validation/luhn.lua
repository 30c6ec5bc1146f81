--[[ capability
{
  "name": "validation.luhn",
  "intent": "check a card number with the luhn algorithm",
  "aliases": ["validate a credit card number", "is the check digit of a card number right"],
  "input": {
    "type": "object",
    "required": ["card_number"],
    "properties": {"card_number": {"type": "string", "description": "digits; spaces and hyphens are ignored"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["valid", "reason"],
    "properties": {
      "valid": {"type": "boolean"},
      "reason": {"type": "string", "description": "why it is not valid; empty when it is"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"card_number": "4111 1111 1111 1111"}, "output": {"valid": true, "reason": ""}},
    {"input": {"card_number": "4111111111111112"}, "output": {"valid": false, "reason": "the check digit is wrong"}},
    {"input": {"card_number": "41x1"}, "output": {"valid": false, "reason": "not 12 to 19 digits"}}
  ]
}
]]
function run(input, context)
  local digits = input.card_number:gsub("[%s%-]", "")
  if not digits:find("^%d+$") or #digits < 12 or #digits > 19 then
    return { valid = false, reason = "not 12 to 19 digits" }
  end
  local sum = 0
  for place = 1, #digits do
    local digit = tonumber(digits:sub(-place, -place))
    if place % 2 == 0 then digit = digit * 2 end
    sum = sum + (digit > 9 and digit - 9 or digit)
  end
  if sum % 10 ~= 0 then return { valid = false, reason = "the check digit is wrong" } end
  return { valid = true, reason = "" }
end
