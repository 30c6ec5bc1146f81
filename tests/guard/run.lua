local M = {run = 1} --! run_missing "function run(input, context)"
function M.main() return 1 end
return M
----
local function run(input) return input end --! run_missing "remove the word 'local'" --! unused_local
----
function run(input, context, more) return {input, context, more} end --! run_parameters
----
run = function(input) return input end
----
local function main(input) input.x = 1 return input end --! input_write
run = main
----
--: {"input": {"type": "object", "required": ["a"], "properties": {"a": {}}}}
function run() return 1 end --! run_parameters
----
--: {"output": {"type": "object"}}
function run(input)
  if input.a then return {} end
end --! missing_return "come to its end"
----
--: {"output": {"type": "object"}}
function run(input)
  if input.a then return end --! missing_return "returns nothing here"
  for _, v in ipairs(input.list) do
    if v then return {v} end
  end
end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) input = nil end --! missing_return --! input_write
----
--: {"output": {"type": "object"}}
function run(input)
  if input.op == "a" then return {1}
  elseif input.op == "b" then return {2}
  end
end --! missing_return
----
--: {"output": {"type": ["object", "null"]}}
function run(input)
  if input.a then return {} end
end
----
--: {"output": {"type": "object"}}
function run(input)
  if input.a then return {} elseif input.b then fail("b", "no b") else error("x") end
end
----
--: {"output": {"type": "object"}}
function run(input)
  local i = 0
  while true do
    i = i + 1
    if i > input.max then return {i = i} end
  end
end
----
--: {"output": {"type": "object"}}
function run(input)
  repeat
    if input.a then return {} end
    fail("x", "y")
  until true
end
----
-- Writes to the input, straight, through aliases and through library functions.
function run(input, context)
  input.a = 1 --! input_write
  input.list[1] = 2 --! input_write
  local items = input.list
  items[#items + 1] = 3 --! input_write
  local list
  for _, item in ipairs(items) do
    item.done = true --! input_write
    local price = item.price
    price = price * 2
    list = {price}
  end
  table.sort(input.list) --! input_write
  table.insert(items, 1) --! input_write
  context.node = "x" --! input_write "'context'"
  return {list}
end
----
-- What is made from the input is not the input.
function run(input)
  local copy, n = {}, input.n
  for k, v in pairs(input) do copy[k] = v end
  for _, item in ipairs(input.items) do
    local fresh = {name = item.name}
    fresh.size = #item.name
    item = nil
    copy[#copy + 1] = fresh
  end
  n = n + 1
  local list = input.list
  list = {table.unpack(list)}
  list[1] = n
  local function f(input) input.x = 1 end
  f(copy)
  return {copy, list}
end
----
--: {"input": {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"price": {}}, "additionalProperties": false}}, "free": {"type": "object"}}, "additionalProperties": false}}
function run(input)
  local total = 0
  for _, item in ipairs(input.items) do total = total + item.prise end --! unknown_input_field "did you mean 'price'?"
  return {total, input.itms, input.free.anything, input.items[1].price} --! unknown_input_field
end
----
-- fail(code, message, {retryable=, details=}).
function run(input)
  if input.a then fail("initial must not be zero") end --! fail_arguments "is no code"
  if input.b then fail() end --! fail_arguments "needs a code"
  if input.c then fail({code = "x"}) end --! fail_arguments
  if input.d then fail("x", 5) end --! fail_arguments "second argument"
  if input.e then fail("x", "y", true) end --! fail_arguments "third argument"
  if input.f then fail("x", "y", {retriable = true}) end --! fail_arguments "retryable"
  local problem = "not_found"
  if input.g then fail(problem, "no " .. input.g, {retryable = true, details = {g = 1}}) end
  fail("a.b-c")
end
----
function run(input, context)
  return {context.run_id, context.atempt, context.now, context["node"], context.user} --! unknown_context_field "'attempt'" --! unknown_context_field "it has"
end
----
-- `run` as a variable of another kind is a global all the same.
local function helper(input) return input end
if helper then run = helper end
----
run = nil --! run_missing "no function"
----
run = {call = 1} --! run_missing
----
--: {"output": {"type": "object"}}
-- A local function that always fails ends `run` as `fail` does, also through another one.
local function stop(code) fail(code, "no " .. code) end
local function refuse(code, ok)
  if ok then stop("odd") else stop(code) end
end
function run(input)
  if input.a then return {input.a} end
  refuse("none", input.b)
end
----
--: {"output": {"type": "object"}}
local function maybe(ok) if not ok then fail("no", "no") end end
function run(input)
  if input.a then return {input.a} end
  maybe(input.b)
end --! missing_return
----
local function stop() error("x") end
local function f(x) stop() x = 1 return x end --! unreachable
return f
