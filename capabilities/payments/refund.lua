--[[ capability
{
  "name": "payments.refund",
  "intent": "refund a payment",
  "description": "A step that is executed again finds its own refund and pays nothing a second time.",
  "aliases": ["pay money back for a payment", "return an amount to the customer of a payment"],
  "input": {
    "type": "object",
    "required": ["payment_id", "amount"],
    "properties": {
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "amount": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 10000000000,
        "description": "in units of the currency, whole cents"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["refund_id", "payment_id", "amount", "currency", "refunded"],
    "properties": {
      "refund_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
        "description": "the payment's id, -R and a count"
      },
      "payment_id": {"type": "string", "minLength": 1, "maxLength": 100},
      "amount": {"type": "number", "minimum": 0, "description": "in units of the currency, whole cents"},
      "currency": {"type": "string"},
      "refunded": {"type": "number", "minimum": 0, "description": "all that this payment has given back so far"}
    },
    "additionalProperties": false
  },
  "grants": {
    "store.get": {"namespaces": ["payments", "accounts"]},
    "store.list": {"namespaces": ["refunds"]},
    "store.put": {"namespaces": ["payments", "refunds", "accounts"]}
  },
  "compensated_by": "payments.reverse",
  "examples": [
    {
      "input": {"payment_id": "PAY-1", "amount": 49.9},
      "output": {"refund_id": "PAY-1-R1", "payment_id": "PAY-1", "amount": 49.9, "currency": "EUR", "refunded": 49.9},
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
        "accounts": {"merchant": {"balance": 1000.0}}
      },
      "store_after": {
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
        "accounts": {"merchant": {"balance": 950.1, "movements": {"PAY-1-R1": -49.9}}}
      }
    },
    {
      "input": {"payment_id": "PAY-1", "amount": 9.9},
      "output": {"refund_id": "PAY-1-R2", "payment_id": "PAY-1", "amount": 9.9, "currency": "EUR", "refunded": 29.9},
      "store": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 20,
            "refunds": ["PAY-1-R1"]
          }
        },
        "refunds": {
          "PAY-1-R1": {
            "refund_id": "PAY-1-R1",
            "payment_id": "PAY-1",
            "amount": 20,
            "currency": "EUR",
            "status": "refunded",
            "idempotency_key": "an/earlier/step",
            "refunded_at": "2026-11-20T08:00:00Z"
          }
        },
        "accounts": {"merchant": {"balance": 100}}
      },
      "store_after": {
        "payments": {
          "PAY-1": {
            "payment_id": "PAY-1",
            "order_id": "ORD-1",
            "amount": 49.9,
            "currency": "EUR",
            "refunded": 29.9,
            "refunds": ["PAY-1-R1", "PAY-1-R2"]
          }
        },
        "accounts": {"merchant": {"balance": 90.1, "movements": {"PAY-1-R2": -9.9}}}
      }
    },
    {"input": {"payment_id": "PAY-9", "amount": 10}, "error": "payment_not_found"},
    {
      "input": {"payment_id": "PAY-1", "amount": 49.91},
      "error": "amount_too_high",
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
        "accounts": {"merchant": {"balance": 1000}}
      }
    },
    {
      "input": {"payment_id": "PAY-1", "amount": 49.9},
      "error": "already_refunded",
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
        "accounts": {"merchant": {"balance": 1000}}
      }
    },
    {"input": {"payment_id": "PAY-1", "amount": 0.001}, "error": "not_whole_cents"}
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

-- The refund that this very step has recorded before, or nil and the id that is free.
local function recorded_refund(payment_id, idempotency_key)
  local listed = store.list{ namespace = "refunds", prefix = payment_id .. "-R", limit = 1000 }
  for _, item in ipairs(listed.items) do
    if item.value.idempotency_key == idempotency_key then return item.value end
  end
  return nil, payment_id .. "-R" .. #listed.items + 1
end

local function check_amount(payment, amount)
  local rest = cents_of(payment.amount) - cents_of(payment.refunded)
  if rest <= 0 then fail("already_refunded", "payment '" .. payment.payment_id .. "' has been refunded already") end
  if cents_of(amount) > rest then
    local left = string.format("%.2f", rest / 100)
    fail("amount_too_high", "payment '" .. payment.payment_id .. "' has only " .. left .. " left to refund")
  end
end

local function includes(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end

-- The account keeps the movements it has seen beside its balance, so that each moves the balance once.
local function move_balance(movement_id, amount)
  local found = store.get{ namespace = "accounts", key = "merchant" }
  if found.version == 0 then fail("account_not_found", "there is no account 'merchant'") end
  local account = copy_of(found.value)
  local movements = copy_of(account.movements or {})
  if movements[movement_id] then return end
  movements[movement_id] = amount
  account.movements = movements
  account.balance = (cents_of(account.balance) + cents_of(amount)) / 100
  store.put{ namespace = "accounts", key = "merchant", value = account, if_version = found.version }
end

function run(input, context)
  local amount = cents_of(input.amount) / 100
  if math.abs(input.amount - amount) > 0.00001 then fail("not_whole_cents", "the amount has parts of a cent") end
  local found = store.get{ namespace = "payments", key = input.payment_id }
  if found.version == 0 then fail("payment_not_found", "there is no payment '" .. input.payment_id .. "'") end
  local payment = copy_of(found.value)
  local refund, free_id = recorded_refund(input.payment_id, context.idempotency_key)
  if refund and refund.status == "reversed" then
    fail("refund_reversed", "refund '" .. refund.refund_id .. "' of this step has been reversed")
  end
  if not refund then
    check_amount(payment, amount)
    refund = {
      refund_id = free_id,
      payment_id = input.payment_id,
      amount = amount,
      currency = payment.currency,
      status = "refunded",
      idempotency_key = context.idempotency_key,
      refunded_at = context.now,
    }
    store.put{ namespace = "refunds", key = free_id, value = refund, if_version = 0 }
  end
  if not includes(payment.refunds, refund.refund_id) then
    check_amount(payment, amount)
    payment.refunds = copy_of(payment.refunds)
    payment.refunds[#payment.refunds + 1] = refund.refund_id
    payment.refunded = (cents_of(payment.refunded) + cents_of(amount)) / 100
    store.put{ namespace = "payments", key = input.payment_id, value = payment, if_version = found.version }
  end
  move_balance(refund.refund_id, -amount)
  return {
    refund_id = refund.refund_id,
    payment_id = input.payment_id,
    amount = amount,
    currency = payment.currency,
    refunded = payment.refunded,
  }
end
