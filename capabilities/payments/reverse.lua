--[[ capability
{
  "name": "payments.reverse",
  "intent": "reverse a refund",
  "description": "The refund stays on record as reversed; reversing it again changes nothing.",
  "aliases": ["undo a refund of a payment", "take back money that was refunded"],
  "input": {
    "type": "object",
    "required": ["payment_id", "refund_id"],
    "properties": {
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "refund_id": {"type": "string", "minLength": 1, "maxLength": 100}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["refund_id", "payment_id", "amount", "currency", "refunded"],
    "properties": {
      "refund_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "amount": {"type": "number", "minimum": 0, "description": "in units of the currency, whole cents"},
      "currency": {"type": "string"},
      "refunded": {"type": "number", "minimum": 0, "description": "what this payment has still given back"}
    },
    "additionalProperties": false
  },
  "grants": {
    "store.get": {"namespaces": ["payments", "refunds", "accounts"]},
    "store.put": {"namespaces": ["payments", "refunds", "accounts"]}
  },
  "examples": [
    {
      "input": {"payment_id": "PAY-1", "refund_id": "PAY-1-R1"},
      "output": {"refund_id": "PAY-1-R1", "payment_id": "PAY-1", "amount": 49.9, "currency": "EUR", "refunded": 0},
      "store": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 49.9,
            "refunds": ["PAY-1-R1"]
          }
        },
        "refunds": {
          "PAY-1-R1": {
            "refund_id": "PAY-1-R1",
            "payment_id": "PAY-1",
            "amount": 49.9,
            "currency": "EUR",
            "status": "refunded",
            "idempotency_key": "an/earlier/step",
            "refunded_at": "2026-11-20T08:00:00Z"
          }
        },
        "accounts": {"merchant": {"balance": 950.1, "movements": {"PAY-1-R1": -49.9}}}
      },
      "store_after": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 0,
            "refunds": []
          }
        },
        "refunds": {
          "PAY-1-R1": {
            "refund_id": "PAY-1-R1",
            "payment_id": "PAY-1",
            "amount": 49.9,
            "currency": "EUR",
            "status": "reversed",
            "idempotency_key": "an/earlier/step",
            "refunded_at": "2026-11-20T08:00:00Z"
          }
        },
        "accounts": {"merchant": {"balance": 1000}}
      }
    },
    {
      "input": {"payment_id": "PAY-1", "refund_id": "PAY-1-R1"},
      "output": {"refund_id": "PAY-1-R1", "payment_id": "PAY-1", "amount": 49.9, "currency": "EUR", "refunded": 0},
      "store": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 0,
            "refunds": []
          }
        },
        "refunds": {
          "PAY-1-R1": {
            "refund_id": "PAY-1-R1",
            "payment_id": "PAY-1",
            "amount": 49.9,
            "currency": "EUR",
            "status": "reversed",
            "idempotency_key": "an/earlier/step",
            "refunded_at": "2026-11-20T08:00:00Z"
          }
        },
        "accounts": {"merchant": {"balance": 1000}}
      },
      "store_after": {"accounts": {"merchant": {"balance": 1000}}}
    },
    {"input": {"payment_id": "PAY-9", "refund_id": "PAY-9-R1"}, "error": "payment_not_found"},
    {
      "input": {"payment_id": "PAY-1", "refund_id": "PAY-1-R7"},
      "error": "refund_not_found",
      "store": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 0,
            "refunds": []
          }
        }
      }
    }
  ]
}
]]
local function cents_of(amount)
  return math.floor(amount * 100 + 0.5)
end

local function copy_of(document)
  local copy = {}
  for field, value in pairs(document) do copy[field] = value end
  return copy
end

local function without(list, value)
  local rest = {}
  for _, each in ipairs(list) do
    if each ~= value then rest[#rest + 1] = each end
  end
  return rest
end

local function restore_balance(movement_id)
  local found = store.get{ namespace = "accounts", key = "merchant" }
  if found.version == 0 then fail("account_not_found", "there is no account 'merchant'") end
  local account = copy_of(found.value)
  local movements = copy_of(account.movements or {})
  local amount = movements[movement_id]
  if not amount then return end
  movements[movement_id] = nil
  account.movements = next(movements) and movements or nil
  account.balance = (cents_of(account.balance) - cents_of(amount)) / 100
  store.put{ namespace = "accounts", key = "merchant", value = account, if_version = found.version }
end

function run(input, context)
  local found = store.get{ namespace = "payments", key = input.payment_id }
  if found.version == 0 then fail("payment_not_found", "there is no payment '" .. input.payment_id .. "'") end
  local recorded = store.get{ namespace = "refunds", key = input.refund_id }
  if recorded.version == 0 or recorded.value.payment_id ~= input.payment_id then
    fail("refund_not_found", "payment '" .. input.payment_id .. "' has no refund '" .. input.refund_id .. "'")
  end
  local payment, refund = copy_of(found.value), copy_of(recorded.value)
  local refunds = without(payment.refunds, input.refund_id)
  if #refunds < #payment.refunds then
    payment.refunds = refunds
    payment.refunded = (cents_of(payment.refunded) - cents_of(refund.amount)) / 100
    store.put{ namespace = "payments", key = input.payment_id, value = payment, if_version = found.version }
  end
  restore_balance(input.refund_id)
  if refund.status ~= "reversed" then
    refund.status = "reversed"
    store.put{ namespace = "refunds", key = input.refund_id, value = refund, if_version = recorded.version }
  end
  return {
    refund_id = input.refund_id,
    payment_id = input.payment_id,
    amount = refund.amount,
    currency = payment.currency,
    refunded = payment.refunded,
  }
end
