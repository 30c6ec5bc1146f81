--[[ capability
{
  "name": "units.kilometers_to_miles",
  "intent": "convert kilometers to miles",
  "aliases": ["distance in km to miles", "kilometres in miles"],
  "input": {
    "type": "object",
    "required": ["kilometers"],
    "properties": {"kilometers": {"type": "number", "minimum": 0}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["miles"],
    "properties": {"miles": {"type": "number", "description": "international miles of 1.609344 km"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"kilometers": 1.609344}, "output": {"miles": 1.0}},
    {"input": {"kilometers": 0}, "output": {"miles": 0.0}},
    {"input": {"kilometers": 160.9344}, "output": {"miles": 100.0}}
  ]
}
]]
function run(input, context)
  return { miles = input.kilometers / 1.609344 }
end
