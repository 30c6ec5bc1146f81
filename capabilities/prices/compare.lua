--[[ capability
{
  "name": "prices.compare",
  "intent": "compare a price with a target price and decide whether to go on watching it",
  "description": "Only a price that is lower than the target is below it.",
  "aliases": ["is a price below the target", "decide whether to look at a price again"],
  "input": {
    "type": "object",
    "required": ["price", "target_price", "checks_max"],
    "properties": {
      "price": {"type": "number", "minimum": 0},
      "target_price": {"type": "number", "minimum": 0},
      "checks_max": {"type": "integer", "minimum": 1, "description": "how often to look in all"},
      "checks_before": {
        "type": "integer",
        "minimum": 0,
        "maximum": 1000000,
        "description": "how often it was looked at before; 0 when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["verdict", "checks"],
    "properties": {
      "verdict": {"enum": ["below", "look_again", "give_up"]},
      "checks": {"type": "integer", "minimum": 1}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"price": 39.9, "target_price": 35, "checks_max": 10},
      "output": {"verdict": "look_again", "checks": 1}
    },
    {
      "input": {"price": 34.5, "target_price": 35, "checks_max": 10, "checks_before": 4},
      "output": {"verdict": "below", "checks": 5}
    },
    {
      "input": {"price": 35, "target_price": 35, "checks_max": 3, "checks_before": 2},
      "output": {"verdict": "give_up", "checks": 3}
    },
    {"input": {"price": 35, "target_price": 30, "checks_max": 3, "checks_before": 3}, "error": "too_many_checks"}
  ]
}
]]
function run(input, context)
  local checks = (input.checks_before or 0) + 1
  if checks > input.checks_max then
    fail("too_many_checks", "the price was already looked at " .. input.checks_max .. " times")
  end
  local verdict = "look_again"
  if input.price < input.target_price then
    verdict = "below"
  elseif checks == input.checks_max then
    verdict = "give_up"
  end
  return { verdict = verdict, checks = checks }
end
