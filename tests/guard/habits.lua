local unused = 1 --! unused_local "never used"
local function helper() return helper() end --! unused_local "local function"
local written --! unused_local "never read"
written = 2
local _, ok = pcall(error)
local a, b = pcall(error) --! unused_local "'a, b'"
local guard <close> = setmetatable({}, {__close = function() end})
return ok
----
-- A parameter, a loop variable, or a place in a list of results may stay unused.
local function f(x, y) for i = 1, 3 do y = y + 1 end for k, v in pairs({}) do y = y + 1 end return y end
local year, month, day = ("2026-11-21"):match("(%d+)-(%d+)-(%d+)")
return f, day
----
local function f(x)
  if x then
    return 1
  else
    error("no")
  end
  return 2 --! unreachable
end
local function g(x)
  while true do
    if x > 3 then return x end
    x = x + 1
  end
  x = 4 --! unreachable
end
local function h(t)
  for _, v in ipairs(t) do
    do break end
    t[1] = v --! unreachable
  end
  error("never", 0)
  t[2] = 1 --! unreachable "line 21"
end
local function i() error("x") return nil end
return f, g, h, i
----
-- A label may be jumped to, so what follows it is reached; goto continue is ordinary.
local n = 0
for i = 1, 10 do
  if i % 2 == 0 then goto continue end
  n = n + i
  ::continue::
end
do
  local tries = 0
  ::again::
  tries = tries + 1
  if tries < 3 then goto again end
  n = n + tries
end
return n
----
local n = 0
while true do n = n + 1 end --! endless_loop
----
local n = 0
repeat n = n + 1 until false --! endless_loop
----
local function count(x) return x + 1 end
local n = 0
while 1 do --! endless_loop
  while true do break end
  for _, c in ipairs({1}) do n = count(n) + c end
  n = math.floor(n) + #tostring(n):upper()
  goto next
  ::next::
end
----
-- Each of these loops can be left, or is a generator.
local yield = coroutine.yield
local function send(x) yield(x) end
local gen = coroutine.wrap(function() local i = 0 while true do i = i + 1 coroutine.yield(i) end end)
local gen2 = coroutine.wrap(function() while true do send(1) end end)
local function a(t) while true do if #t == 0 then break end table.remove(t) end end
local function b(t) while true do if #t == 0 then return t end end end
local function c(t) while true do if #t == 0 then goto done end end ::done:: return t end
local function d(t) while true do if #t == 0 then error("empty") end end end
local function e(f) while true do f() end end
local Job = {step = error}
local function g(o) while true do o:step() end end
local function h(it) while true do for x in it do it = x end end end
local function i(t) while true do while true do if t then return t end end end end
return Job, gen, gen2, a, b, c, d, e, g, h, i
----
local function f(a, b)
  local a = 1 --! shadowed_parameter
  for b = 1, 2 do a = a + b end --! shadowed_parameter
  return a
end
local function g(x, list)
  local x = x or 1
  for _, list in ipairs(list) do x = x + list end
  return function(x) local list = x return list end
end
local function h(a, a) return a end --! shadowed_parameter
return f, g, h
----
local function f(a, b) return a, b end
local g = function(...) return ... end
f(1, 2, 3) --! extra_argument "takes 2"
f(1, g())
f(1, 2, g())
g(1, 2, 3)
f(1)
