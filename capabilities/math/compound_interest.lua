--[[ capability
{
  "name": "math.compound_interest",
  "intent": "compound interest on a principal over some years",
  "aliases": ["how much does money grow with compound interest", "future value of a deposit at a yearly rate"],
  "input": {
    "type": "object",
    "required": ["principal", "rate_percent", "years"],
    "properties": {
      "principal": {"type": "number", "minimum": 0},
      "rate_percent": {
        "type": "number",
        "minimum": 0,
        "maximum": 1000,
        "description": "yearly rate, 5 for five percent"
      },
      "years": {"type": "number", "minimum": 0, "maximum": 1000},
      "periods_per_year": {
        "type": "integer",
        "minimum": 1,
        "maximum": 366,
        "description": "how often interest is added in a year; once when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["amount", "interest"],
    "properties": {
      "amount": {"type": "number", "description": "principal and interest, rounded to cents"},
      "interest": {"type": "number", "description": "rounded to cents"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"principal": 1000, "rate_percent": 5, "years": 2}, "output": {"amount": 1102.5, "interest": 102.5}},
    {
      "input": {"principal": 1000, "rate_percent": 6, "years": 1, "periods_per_year": 12},
      "output": {"amount": 1061.68, "interest": 61.68}
    },
    {"input": {"principal": 0, "rate_percent": 5, "years": 10}, "output": {"amount": 0.0, "interest": 0.0}},
    {"input": {"principal": 1000, "rate_percent": 1000, "years": 1000}, "error": "out_of_range"}
  ]
}
]]
function run(input, context)
  local periods = input.periods_per_year or 1
  local growth = (1 + input.rate_percent / 100 / periods) ^ (periods * input.years)
  local cents = input.principal * growth * 100
  if cents ~= cents or cents > 2 ^ 53 then fail("out_of_range", "the amount is too large to be exact to the cent") end
  local rounded = math.floor(cents + 0.5)
  return { amount = rounded / 100, interest = math.floor(rounded - input.principal * 100 + 0.5) / 100 }
end
