--[[ capability
{
  "name": "math.split_amount",
  "intent": "split an amount of money into equal parts",
  "aliases": ["divide a bill between people to the cent", "share an amount equally without losing a cent"],
  "input": {
    "type": "object",
    "required": ["amount", "parts"],
    "properties": {
      "amount": {
        "type": "number",
        "minimum": 0,
        "maximum": 10000000000,
        "description": "in currency units, such as 10.50"
      },
      "parts": {"type": "integer", "minimum": 1, "maximum": 1000}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["amounts"],
    "properties": {
      "amounts": {
        "type": "array",
        "items": {"type": "number"},
        "description": "they add up to the amount; the first ones carry the left-over cents"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"amount": 10, "parts": 3}, "output": {"amounts": [3.34, 3.33, 3.33]}},
    {"input": {"amount": 0.05, "parts": 2}, "output": {"amounts": [0.03, 0.02]}},
    {"input": {"amount": 8, "parts": 1}, "output": {"amounts": [8.0]}},
    {"input": {"amount": 1.001, "parts": 2}, "error": "not_whole_cents"}
  ]
}
]]
function run(input, context)
  local cents = math.floor(input.amount * 100 + 0.5)
  if math.abs(input.amount * 100 - cents) > 0.001 then fail("not_whole_cents", "the amount has parts of a cent") end
  local share, left = cents // input.parts, cents % input.parts
  local amounts = {}
  for part = 1, input.parts do
    amounts[part] = (part <= left and share + 1 or share) / 100
  end
  return { amounts = amounts }
end
