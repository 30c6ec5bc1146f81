-- Unknown names, with the near miss.
local total = 0
totl = 1 --! global_write "did you mean 'total'?"
local x = tostrin(total) --! unknown_global "did you mean 'tostring'?"
return x, strng.format("%d", total) --! unknown_global "did you mean 'string'?"
----
-- Forbidden globals, each with its reason.
os.execute("ls") --! forbidden_global "operating system"
local now = os.time() --! forbidden_global "time.now{}"
io.write("x") --! forbidden_global "no files"
print(now) --! forbidden_global "log.info"
local json = require("json") --! forbidden_global "one file"
load("return 1")() --! forbidden_global "checked before it runs"
debug.sethook() --! forbidden_global "fuel limit"
return json, collectgarbage("count") --! forbidden_global
----
-- A local of a forbidden name is just a local.
local os = {time = function() return 0 end}
local function load(text) return text end
return os.time(), load("x")
----
-- Global writes: the first of each name, with the other lines.
count = 0 --! global_write "(lines 2, 4)"
function helper() --! global_write "local function helper"
  count = count + 1
end
helper()
----
-- What reopens the environment.
local env = _ENV --! forbidden_global "reopen"
_ENV.x = env --! forbidden_global
_G.y = 1 --! forbidden_global
local function f(_ENV) return x end --! forbidden_global --! unknown_global
f({})
do local _ENV = {}; y = 1 end --! forbidden_global --! global_write
----
global *; --! forbidden_global
x = 1 --! global_write
----
global os; --! forbidden_global
os.exit()
----
-- Libraries are read-only.
function string.trim(s) return s end --! library_write "local function"
table.insert = nil --! library_write
string = {} --! library_write
local m = math
m.tau = 6.28 --! library_write
m["e"] = 2.71 --! library_write
rawset(table, "x", 1) --! library_write
getmetatable("").__index.trim = nil --! library_write "strings"
setmetatable(math, {}) --! library_write
----
-- Fields that libraries don't have.
local a = math.pow(2, 3) --! unknown_field "x ^ y"
local b = table.getn({}) --! unknown_field "#t"
local c = string.fromat("x") --! unknown_field "did you mean 'string.format'?"
local d = string.trim("x") --! unknown_field "text.trim(s)"
local e = string.dump(function() end) --! forbidden_field
local f = coroutine.close --! forbidden_field
return a, b, c, d, e, f, unpack({}) --! unknown_global "table.unpack"
----
-- An old name as a fallback is how portable Lua is written.
local unpack = table.unpack or unpack
local getn = table.getn or function(t) return #t end
local log10 = math.log10 or function(x) return math.log(x, 10) end
return unpack, getn, log10
----
setmetatable({}, {__mode = "k"}) --! refused_metafield "garbage collector"
local mt = {}
mt.__mode = "v" --! refused_metafield
----
-- Syntax is the compiler's word, alone.
local x = 1
if x != 1 then x = 2 end --! syntax "~="
os.exit()
----
-- Libraries written in Lua: what they have, and how many arguments it takes.
local a = text.trimm(" x ") --! unknown_field "did you mean 'text.trim'?"
local b = date.now() --! unknown_field "it has: add, days_in_month"
local d = date
local c = d.strftime("2026-01-31") --! unknown_field
local e = text.split("a,b") --! missing_argument "write text.split(text, separator, [limit])"
local f = text.pad_start("x", 3, "0", "left") --! extra_argument "at most 3"
local g = hash.sha256() --! missing_argument "needs 1 argument,"
local h = d.add("2026-01-31") --! missing_argument "date.add(moment, amounts)"
local i = text:trim() --! unknown_method "write text.trim(...)"
text.shout = string.upper --! library_write
return {a, b, c, e, f, g, h, i}
----
-- All of these are in order: aliases, what a call spreads, an absent last argument, locals of the same names.
local parse, lines = date.parse, text.lines
local function two() return "a,b", "," end
local out = {text.split(two()), date.add(select(1, "2026-01-31", {days = 1})), text.wrap("a", 3), parse("2026-01-31")}
local function of(text, ...) return csv.parse(text, ...), text:upper(), lines(text) end
local function by(date) return date:sub(1, 4) .. date.year .. base64.encode(date.year) end
local hash = {sha256 = function(x) return x end}
return {out, of, by, hash.sha256("x", 1), date.format(0, nil, nil), csv.write({}, nil)}
----
-- A local that hides a library.
local function clean(text) return text.trim(text) end --! hidden_library "give the local another name to call text.trim"
local function due(date, text) return date.add(date, {days = 1}), text.upper(text) end --! hidden_library --! hidden_library
function run(input)
  local date = input.date
  local csv = csv
  return {clean("x"), due("x"), date.format(date, "%Y"), csv.parse("a"), text.trim("x")} --! hidden_library
end
