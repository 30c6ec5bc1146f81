-- Each mistake once more as it is met in practice: through aliases, in inner functions, in loops, by other syntax.
function run(input) local f = function() return prnt(input.x) end return {f()} end --! unknown_global
----
local M = {} function M.f() return undefined_thing end function run(input) return {M.f(), input} end --! unknown_global
----
function run(input) return {x = ("a"):rep(cnt), y = input} end --! unknown_global
----
local x = x function run(input) return {x, input} end --! unknown_global
----
function run(input) do local y = 1 input.z = y end return {y} end --! input_write --! unknown_global
----
function run(input) for i = 1, 3 do local _ = i end return {i, input} end --! unknown_global
----
function run(input) repeat local k = 1 until k == 1 return {k, input} end --! unknown_global
----
function run(input) local t = {[key] = 1} return {t, input} end --! unknown_global
----
local function f() return g() end local function g() return 1 end function run(input) return {f(), g(), input} end --! unknown_global
----
function run(input) return {setmetatable({}, {__index = function(_, k) return kk end}), input} end --! unknown_global
----
local o = os function run(input) return {o.time(), input} end --! forbidden_global
----
function run(input) return {(os).time(), input} end --! forbidden_global
----
function run(input) local t = {os} return {t, input} end --! forbidden_global
----
function run(input) return {os["time"](), input} end --! forbidden_global
----
local function g(e) return e end function run(input) return {g(_G), input} end --! forbidden_global
----
local function g(e) return e end function run(input) return {g(_ENV), input} end --! forbidden_global
----
function run(input) return {pcall(load, "return 1"), input} end --! forbidden_global
----
function run(input) local l = load or loadstring return {l, input} end --! forbidden_global --! forbidden_global
----
function run(input) local _ENV <const> = {} return {input} end --! forbidden_global
----
local s = string function run(input) return {s.dump(run), input} end --! forbidden_field
----
function run(input) return {string["dump"](run), input} end --! forbidden_field
----
function run(input) local c = coroutine return {c.close, input} end --! forbidden_field
----
local m = math local n = m function run(input) return {n.powr(2, 3), input} end --! unknown_field
----
function run(input) return {(string).trim(input.x)} end --! unknown_field
----
local function f(g) return g end function run(input) return {f(table.conct), input} end --! unknown_field
----
function run(input) return {math.Pi, input} end --! unknown_field
----
function run(input) return {string:trimm(input)} end --! unknown_field
----
function run(input) local function f() total = 1 end f() return {input} end --! global_write
----
function run(input) local a a, b = 1, 2 return {a, input} end --! global_write
----
function run(input) for i = 1, 2 do last = i end return {input} end --! global_write
----
local M = {} function M.f() function inner() end end function run(input) return {M, input} end --! global_write
----
do function helper() end end function run(input) return {input} end --! global_write
----
if true then x, y = 1, 2 end function run(input) return {input} end --! global_write --! global_write
----
local s = string s.trim = function() end function run(input) return {input} end --! library_write
----
function string:trim() return self end function run(input) return {input} end --! library_write
----
string["trim"] = 1 function run(input) return {input} end --! library_write
----
local m = getmetatable("") m.__index = {} function run(input) return {input} end --! library_write
----
getmetatable("").__add = function() end function run(input) return {input} end --! library_write
----
setmetatable(string, {}) function run(input) return {input} end --! library_write
----
rawset(math, "pi", 3) function run(input) return {input} end --! library_write
----
table.insert(table, 1) function run(input) return {input} end --! library_write
----
local t, m = {}, math m.x, t.y = 1, 2 function run(input) return {t, input} end --! library_write
----
string.a.b = 1 function run(input) return {input} end --! library_write --! unknown_field
----
for k in pairs({"a"}) do string[k] = 1 end function run(input) return {input} end --! library_write
----
math = nil function run(input) return {input} end --! library_write
----
local setm = setmetatable setm(table, {}) function run(input) return {input} end --! library_write
----
local s = "x" getmetatable(s).__index.t = 1 function run(input) return {input} end --! library_write
----
local mt = getmetatable("x") rawset(mt, "__index", {}) function run(input) return {input} end --! library_write
----
function run(input) local t = {} t.__mode = "k" return {setmetatable({}, t), input} end --! refused_metafield
----
function run(input) local m = {["__mode"] = "v"} return {setmetatable({}, m), input} end --! refused_metafield
----
function run(input) local t = {} t["__mode"] = "k" return {t, input} end --! refused_metafield
----
function run(input) local t = {} rawset(t, "__mode", "k") return {t, input} end --! refused_metafield
----
function run(input) local s = "x" return {s:trim(), input} end --! unknown_method
----
function run(input) return {("%d"):format(1):trim(), input} end --! unknown_method
----
function run(input) local n = tostring(input.x) return {n:contains("a")} end --! unknown_method
----
local function clean(s) return s:strip() end function run(input) return {clean(input.x)} end --! unknown_method
----
function run(input) return {(input.a .. "b"):split(",")} end --! unknown_method
----
function run(input) local l = string.lower(input.x) return {l:capitalize()} end --! unknown_method
----
function run(input) local parts = input.text:split(",") return {parts} end --! unknown_method
----
function run(input) local t = {} t:insert(1) return {t, input} end --! unknown_method
----
function run(input) local t = {1} return {t:concat(","), input} end --! unknown_method
----
function run(input) return {input.items:map(function(x) return x end)} end --! unknown_method
----
local S = {} S.__index = S function S:push() end function run(input) local s = setmetatable({}, S) s:pusj(1) return {s, input} end --! unknown_method
----
function run(input) local x = 1 return {input} end --! unused_local
----
function run(input) local function f() return 1 end return {input} end --! unused_local
----
function run(input) if input.a then local y = 2 end return {input} end --! unused_local
----
local dead = function() end function run(input) return {input} end --! unused_local
----
function run(input) local n n = 1 n = 2 return {input} end --! unused_local
----
function run(input) local x = 1 do local x = 2 return {x, input} end end --! unused_local
----
function run(input) local a, b = 1, 2 return {a, input} end --! unused_local
----
function run(input) local x <const> = 1 return {input} end --! unused_local
----
local function f() f2 = nil return f() end function run(input) return {input} end --! unused_local --! global_write
----
function run(input) return {function() local q = 1 end, input} end --! unused_local
----
function run(input) if input.a then return {} else return {} end local x = 1 end --! unreachable --! unused_local
----
function run(input) while true do break input.x() end return {} end --! unreachable
----
local function bail() error("x") end function run(input) bail() input.f() return {} end --! unreachable
----
function run(input) while true do if input.a then return {} end end input.f() end --! unreachable
----
function run(input) do return {} end input.f() end --! unreachable
----
function run(input) for i = 1, 3 do goto c input.f() ::c:: end return {} end --! unreachable
----
function run(input) fail("x", "y") input.f() end --! unreachable
----
function run(input) assert(false, "x") input.f() return {} end --! unreachable
----
function run(input) repeat return {} until input.x input.f() end --! unreachable
----
function run(input) return {f = function() do return 1 end input.g() end} end --! unreachable
----
function run(input) local n = 0 while true do n = n + 1 end return {n} end --! endless_loop
----
function run(input) local n = 0 repeat n = n + 1 until false return {n} end --! endless_loop
----
function run(input) while 1 do local _ = input.x end end --! endless_loop
----
function run(input) while not false do local _ = input.x end end --! endless_loop
----
function run(input) while true do for i = 1, 3 do if i == 2 then break end end end return {input} end --! endless_loop
----
function run(input) while true do local f = function() return 1 end local _ = f end return {input} end --! endless_loop
----
local function step(n) return n + 1 end function run(input) local n = 0 while true do n = step(n) end return {n, input} end --! endless_loop
----
function run(input) local t = {} while true do table.insert(t, 1) end return {t, input} end --! endless_loop
----
function run(input) while true do goto again ::again:: end return {input} end --! endless_loop
----
function run(input) while (true) do local _ = ("x"):rep(3) end return {input} end --! endless_loop
----
function run(input) while "yes" do local _ = #input end return {} end --! endless_loop
----
function run(input) while true do while true do break end end return {input} end --! endless_loop
----
function run(input) local input = {} return input end --! shadowed_parameter
----
local function f(x) local x = 1 return x end function run(input) return {f(1), input} end --! shadowed_parameter
----
local function f(x, t) for _, x in ipairs(t) do t[x] = 1 end end function run(input) f(1, {}) return {input} end --! shadowed_parameter
----
local function f(x) if x then local x = 2 return x end end function run(input) return {f(1), input} end --! shadowed_parameter
----
local function f(x) local function x() return 1 end return x end function run(input) return {f(1), input} end --! shadowed_parameter
----
local M = {} function M:f() local self = {} return self end function run(input) return {M:f(), input} end --! shadowed_parameter
----
local function f(x) local y, x = 1, 2 return x + y end function run(input) return {f(1), input} end --! shadowed_parameter
----
local function f(x) for x = 1, 3 do f(x) end end function run(input) f(1) return {input} end --! shadowed_parameter
----
local f = function(x) local x = 1 return x end function run(input) return {f(1), input} end --! shadowed_parameter
----
function run(input) input.x = 1 return {} end --! input_write
----
function run(input) input["x"] = 1 return {} end --! input_write
----
function run(input) input.a.b.c = 1 return {} end --! input_write
----
function run(input) local o = input.order o.x = 1 return {} end --! input_write
----
function run(input) local o = input.order local l = o.lines l[1] = 2 return {} end --! input_write
----
function run(input) for _, l in ipairs(input.lines) do l.x = 1 end return {} end --! input_write
----
function run(input) for i = 1, #input.lines do input.lines[i].x = 1 end return {} end --! input_write
----
function run(input) for i = 1, #input.lines do local l = input.lines[i] l.x = 1 end return {} end --! input_write
----
function run(input) table.insert(input.items, 1) return {} end --! input_write
----
function run(input) table.sort(input.items) return {} end --! input_write
----
function run(input) local list = input.items or {} table.sort(list) return {list} end --! input_write
----
function run(input) local list = input.items or {} list[#list + 1] = 1 return {list} end --! input_write
----
function run(input) local sort = table.sort sort(input.items) return {} end --! input_write
----
function run(input) table.move(input.a, 1, 2, 3) return {} end --! input_write
----
function run(input) table.move({1}, 1, 1, 1, input.a) return {} end --! input_write
----
function run(input) rawset(input, "a", 1) return {} end --! input_write
----
function run(input) setmetatable(input, {}) return {} end --! input_write
----
function run(input) local function f() input.x = 1 end f() return {} end --! input_write
----
function run(input) local o <const> = input o.x = 1 return {} end --! input_write
----
function run(args) args.x = 1 return {} end --! input_write
----
function run(input, context) context.now = 1 return {input} end --! input_write
----
run = function(input) input.x = nil return {} end --! input_write
----
local function main(input) input.x = 1 return {} end run = main --! input_write
----
local function main(input) input.x = 1 return {} end function run(input) return main(input) end --! input_write
----
local function add(t) t.n = 1 end function run(input) add(input) return {} end --! input_write
----
function run(input) function input.f() end return {} end --! input_write
----
function run(input) for k, v in pairs(input) do input[k] = v end return {} end --! input_write
----
function run(input) local a, b = input.a, input.b b.x = a return {} end --! input_write
----
function run(input) local o = input.flag and input.a or input.b o.x = 1 return {} end --! input_write
----
function run(input) (input.a or {}).x = 1 return {} end --! input_write
----
function run(input) local t = setmetatable(input, {}) return {t} end --! input_write
----
function run(input) for k, v in next, input.m do v.x = k end return {} end --! input_write
----
function run(input) input = input or {} input.x = 1 return {} end --! input_write
----
--: {"output": {"type": "object"}}
function run(input) local x = input.x end --! unused_local --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) if input.a then return {} end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) for i = 1, 3 do if i == input.x then return {i} end end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) while input.x do return {} end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) if input.a then return {} else input.f() end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) if input.a then return end return {} end --! missing_return
----
--: {"output": {"type": "object"}}
local function main(input) if input.a then return {} end end run = main --! missing_return
----
--: {"output": {"type": "object"}}
run = function(input) if input.a then return {} end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) pcall(function() return {input} end) end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) do if input.a then return {} end end end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) repeat if input.a then return {} end until input.b end --! missing_return
----
--: {"output": {"type": "object"}}
function run(input) if input.a then return {} elseif input.b then return {} else local _ = 1 end end --! missing_return
----
local function run(input) return {input} end --! run_missing --! unused_local
----
local M = {} function M.run(input) return {input} end --! run_missing
----
run = {} --! run_missing
----
function run(a, b, c) return {a, b, c} end --! run_parameters
----
run = function(a, b, c) return {a, b, c} end --! run_parameters
----
local function main(a, b, c) return {a, b, c} end run = main --! run_parameters
