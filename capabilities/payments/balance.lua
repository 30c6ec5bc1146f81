--[[ capability
{
  "name": "payments.balance",
  "intent": "balance of the merchant account",
  "aliases": ["how much money is in the account", "show the current balance"],
  "input": {"type": "object", "properties": {}, "additionalProperties": false},
  "output": {
    "type": "object",
    "required": ["balance"],
    "properties": {"balance": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["accounts"]}},
  "examples": [
    {
      "input": {},
      "output": {"balance": 950.1},
      "store": {"accounts": {"merchant": {"balance": 950.1, "movements": {"PAY-1-R1": -49.9}}}}
    },
    {"input": {}, "output": {"balance": 0}, "store": {"accounts": {"merchant": {"balance": 0}}}},
    {"input": {}, "error": "account_not_found"}
  ]
}
]]
function run(input, context)
  local found = store.get{ namespace = "accounts", key = "merchant" }
  if found.version == 0 then fail("account_not_found", "there is no account 'merchant'") end
  return { balance = found.value.balance }
end
