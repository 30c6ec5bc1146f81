-- Failures that a script means, and host functions.

local core = ...
local charge, stop, examine, bad_argument, expected = core.charge, core.stop, core.examine, core.bad_argument,
  core.expected
local table_argument, look_back, tostring = core.table_argument, core.look_back, core.tostring
local error, type, next, rawget = core.error, core.type, core.next, core.rawget
local raw_pcall, raw_setmetatable, raw_yield = core.pcall, core.setmetatable, core.coroutine.yield
local find = core.string.find
local json, HOST, HOST_BYTES_MAX = core.json, core.HOST, core.HOST_BYTES_MAX

-- ---------------------------------------------------------------- failures

-- The metatable marks what `fail` and host functions raise: uncaught, it ends the execution as `fail` with its code.
local FAILURE
FAILURE = {
  __metatable = false,
  __name = "failure",
  __tostring = function(failure)
    return tostring(rawget(failure, "code")) .. ": " .. tostring(rawget(failure, "message"))
  end,
}

local function fail(code, message, options)
  if type(code) ~= "string" then expected(1, "fail", "string", code) end
  if #code > 100 or not find(code, "^[%w_][%w_.-]*$") then
    bad_argument(1, "fail", "a code is made of letters, digits, '_', '.' and '-'")
  end
  if message == nil then message = code end
  if type(message) ~= "string" then expected(2, "fail", "string", message) end
  local failure = { code = code, message = message, retryable = false }
  if options ~= nil then
    table_argument(options, 3, "fail")
    failure.retryable = rawget(options, "retryable") == true
    failure.details = rawget(options, "details")
  end
  error(raw_setmetatable(failure, FAILURE), 0)
end

core.FAILURE = FAILURE

-- ---------------------------------------------------------------- host functions

-- A namespaced call: one table in, one value out; the reply comes from the parent through the worker.
function core.host_function(name)
  return function(arguments)
    look_back()
    if arguments == nil then
      arguments = raw_setmetatable({}, json.OBJECT)
    elseif type(arguments) ~= "table" then
      expected(1, name, "table", arguments)
    elseif next(arguments) == nil then
      arguments = raw_setmetatable({}, json.OBJECT)
    end
    local ok, text = raw_pcall(json.encode, arguments, HOST_BYTES_MAX)
    if not ok then
      if core.dead then stop() end
      bad_argument(1, name, json.problem(text) or examine(text))
    end
    core.calls = core.calls + 1
    if core.calls > core.calls_max then stop("host_calls") end
    charge(100 + (#text >> 3))
    local reply = raw_yield(HOST, name, text)
    charge(#reply >> 3)
    local answer = json.decode(reply)
    local problem = answer.error
    if problem then error(raw_setmetatable(problem, FAILURE), 0) end
    return answer.result
  end
end

return { fail = fail }
