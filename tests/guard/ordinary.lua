-- Ordinary Lua, as people write it: nothing here is a finding.
local Stack = {}
Stack.__index = Stack
Stack.__len = function(self) return self.size end
Stack.__tostring = function(self) return "Stack(" .. self.size .. ")" end
Stack.__call = function(self, ...) for _, each in ipairs({...}) do self:push(each) end return self end

function Stack.new(...)
  local self = setmetatable({size = 0, items = {}}, Stack)
  return self(...)
end

function Stack:push(item)
  self.size = self.size + 1
  self.items[self.size] = item
  return self
end

function Stack:pop()
  if self.size == 0 then return nil, "empty" end
  local item = self.items[self.size]
  self.items[self.size] = nil
  self.size = self.size - 1
  return item
end

local Counted = setmetatable({}, {__index = Stack})
Counted.__index = Counted
function Counted:push(item)
  self.pushed = (self.pushed or 0) + 1
  return Stack.push(self, item)
end

function run(input, context)
  local stack = setmetatable({size = 0, items = {}}, Counted)
  for _, item in ipairs(input.items or {}) do stack:push(item):push(item .. context.node) end
  local top, problem = stack:pop()
  if not top then return {error = problem} end
  return {top = top, size = #stack, text = tostring(stack), pushed = stack.pushed, more = tostring(Stack.new(1, 2))}
end
----
-- Closures, upvalues, memoizing, varargs, multiple results.
local function memoize(f)
  local cache = {}
  return function(x)
    local found = cache[x]
    if found == nil then
      found = f(x)
      cache[x] = found
    end
    return found
  end
end

local fibonacci
fibonacci = memoize(function(n)
  if n < 2 then return n end
  return fibonacci(n - 1) + fibonacci(n - 2)
end)

local function sum(...)
  local total = 0
  for i = 1, select("#", ...) do total = total + (select(i, ...)) end
  return total, select("#", ...)
end

local function counter(start, step)
  start, step = start or 0, step or 1
  return function()
    start = start + step
    return start
  end
end

local function named(...rest) return rest.n, table.unpack(rest, 1, rest.n) end

local is_even, is_odd
function is_even(n) if n == 0 then return true end return is_odd(n - 1) end
function is_odd(n) if n == 0 then return false end return is_even(n - 1) end

function run(input)
  local next_id = counter(10)
  local t = {sum(1, 2, 3), (sum(4, 5)), named(1, nil, 3)}
  return {fibonacci(input.n), next_id(), next_id(), t, is_even(4)}
end
----
-- Strings and patterns, integer division, bits, numeric for, nested loops, goto.
function run(input)
  local words, longest = {}, ""
  for word in input.text:lower():gmatch("%a+") do
    words[word] = (words[word] or 0) + 1
    if #word > #longest then longest = word end
  end
  local names = {}
  for name in pairs(words) do names[#names + 1] = name end
  table.sort(names, function(a, b) return words[a] > words[b] or (words[a] == words[b] and a < b) end)
  local primes = {}
  for n = 2, 50 do
    for d = 2, n // 2 do
      if n % d == 0 then goto continue end
    end
    primes[#primes + 1] = n
    ::continue::
  end
  local bits = 0
  for i = 10, 1, -3 do bits = (bits << 1) ~ (i & 1) | (i >> 2) end
  local i = 0
  repeat
    local done = i * i > 50
    i = i + 1
  until done
  local text = ("%s has %d"):format(longest, #longest):gsub("has", "holds"):rep(2, ", ")
  local a, b = 1, 2
  a, b = b, a
  while a < 100 do a, b = a + b, a end
  return {names = names, primes = primes, bits = bits, i = i, text = text, a = a, hex = 0xFF, float = 1e3, long = [==[
  a [[long]] string]==], upper = (input.text:gsub("^%l", string.upper)), b ~= a and "x" or nil}
end
----
-- Errors as tables, rethrown; xpcall; assert; results checked; to-be-closed variables.
local Problem = {}
Problem.__index = Problem
Problem.__tostring = function(self) return self.code .. ": " .. self.message end
local function raise(code, message) error(setmetatable({code = code, message = message}, Problem)) end

local function parse(text)
  local number = tonumber(text)
  if not number then raise("not_a_number", "found " .. tostring(text)) end
  return number
end

local function try(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = results[2]
  if getmetatable(problem) == Problem then return nil, problem.code end
  error(problem, 0)
end

function run(input)
  local number, code = try(parse, input.text)
  local ok, trace = xpcall(parse, function(problem) return "handled " .. tostring(problem) end, "x")
  assert(type(input) == "table", "input must be an object")
  do
    local closing <close> = setmetatable({}, {__close = function() ok = not ok end})
  end
  local limit <const> = 10
  if number and number > limit then fail("too_large", "more than " .. limit, {retryable = false}) end
  return {number = number or json.null, code = code, ok = ok, trace = trace}
end
----
-- Generators, a queue, a proxy, a state machine by a table of functions, dispatch by name.
local function range(from, to, step)
  return coroutine.wrap(function()
    for i = from, to, step or 1 do coroutine.yield(i) end
  end)
end

local function forever()
  local n = 0
  return coroutine.wrap(function()
    while true do
      n = n + 1
      coroutine.yield(n)
    end
  end)
end

local function read_only(t)
  return setmetatable({}, {
    __index = t,
    __newindex = function(_, key) error("read-only: " .. tostring(key), 2) end,
    __pairs = function() return next, t, nil end,
  })
end

local operations = {
  add = function(a, b) return a + b end,
  ["sub"] = function(a, b) return a - b end,
}
operations.plus = operations.add

local states = {}
function states.start(c) return c == "a" and "middle" or "start" end
function states.middle(c) if c == "b" then return "done" end return "start" end

function run(input)
  local out, state = {}, "start"
  for i in range(1, 10, 2) do out[#out + 1] = i end
  local tick = forever()
  while true do
    local n = tick()
    if n > 3 then break end
    out[#out + 1] = n
  end
  for c in tostring(input.path):gmatch(".") do state = states[state] and states[state](c) or state end
  local settings = read_only({depth = 3})
  local ok = pcall(function() settings.depth = 4 end)
  local operation = operations[input.operation] or fail("unknown_operation", "no " .. tostring(input.operation))
  return {out = out, state = state, ok = ok, depth = settings.depth, result = operation(1, 2), keys = {next({a = 1})}}
end
----
-- Copies of the input are the capability's own; names of libraries as fields; method of a string literal.
local function deep_copy(value, seen)
  if type(value) ~= "table" then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for k, v in pairs(value) do copy[deep_copy(k, seen)] = deep_copy(v, seen) end
  return setmetatable(copy, getmetatable(value))
end

function run(input)
  local data = deep_copy(input)
  data.total = 0
  for _, line in ipairs(data.lines) do
    line.sum = math.floor(line.price * line.count * 100 + 0.5) / 100
    data.total = data.total + line.sum
  end
  data.string = ("x"):rep(3)
  data.os, data.io, data.print = 1, 2, 3
  table.insert(data.lines, {table = 1, math = {pi = math.pi, huge = -math.huge}})
  local lookup = {os = "linux", _G = 1, require = true}
  return {data, lookup.os, lookup._G, utf8.char(228, 8364), utf8.len("äö"), #"abc", -2 ^ 2, not nil == true}
end
