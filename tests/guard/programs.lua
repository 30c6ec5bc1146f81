-- Small programs as people write them, one after the other; each works, and none has a finding.
-- Class with inheritance.
local Animal = {} Animal.__index = Animal
function Animal.new(name) local self = setmetatable({}, Animal) self.name = name return self end
function Animal:speak() return self.name .. " makes a sound" end
local Dog = setmetatable({}, {__index = Animal}) Dog.__index = Dog
function Dog.new(name) local self = Animal.new(name) return setmetatable(self, Dog) end
function Dog:speak() return Animal.speak(self) .. ": woof" end
function run(input) local d = Dog.new(input.name or "Rex") return {said = d:speak()} end
----
-- Class helper.
local function class(base)
  local c = {}
  c.__index = c
  setmetatable(c, {__index = base, __call = function(cls, ...)
    local o = setmetatable({}, cls)
    if o.init then o:init(...) end
    return o
  end})
  return c
end
local Account = class()
function Account:init(balance) self.balance = balance or 0 end
function Account:deposit(n) self.balance = self.balance + n return self end
local Saver = class(Account)
function Saver:interest(rate) self:deposit(self.balance * rate) return self.balance end
function run(input) local s = Saver(100) s:deposit(5):deposit(6) return {b = s:interest(0.1), x = input.x} end
----
-- Closures counter.
function run()
  local function make() local n = 0 return function() n = n + 1 return n end, function() return n end end
  local inc, get = make()
  inc() inc()
  return {n = get()}
end
----
-- Generator permutations.
local function permgen(a, n)
  n = n or #a
  if n <= 1 then coroutine.yield(a) else
    for i = 1, n do
      a[n], a[i] = a[i], a[n]
      permgen(a, n - 1)
      a[n], a[i] = a[i], a[n]
    end
  end
end
local function permutations(a) local co = coroutine.create(function() permgen(a) end)
  return function() local _, res = coroutine.resume(co) return res end end
function run(input) local out = {} for p in permutations({"a", "b", "c"}) do out[#out + 1] = table.concat(p) end return {out = out, n = input.n} end
----
-- Varargs.
local function pack2(...) return {n = select("#", ...), ...} end
local function map(f, ...) local r = pack2(...) for i = 1, r.n do r[i] = f(r[i]) end return table.unpack(r, 1, r.n) end
function run(input) return {map(function(x) return x * 2 end, 1, 2, 3), input.k} end
----
-- Goto continue and nested break.
function run(input)
  local found
  for i = 1, 10 do
    for j = i, 10 do
      if (i + j) % 7 ~= 0 then goto continue end
      if i * j > 20 then found = {i, j} goto done end
      ::continue::
    end
  end
  ::done::
  return {found = found, x = input.x}
end
----
-- Integer division and bitops.
local function popcount(n) local c = 0 while n ~= 0 do n = n & (n - 1) c = c + 1 end return c end
local function isqrt(n) local x = n local y = (x + 1) // 2 while y < x do x = y y = (x + n // x) // 2 end return x end
function run(input) return {popcount(0xFFFF), isqrt(99), 7 // 2, -7 // 2, 7 % -3, ~5, 1 << 4, input.a} end
----
-- String methods.
function run(input)
  local s = "  Hello, World  "
  local t = s:match("^%s*(.-)%s*$")
  return {t:upper(), t:lower(), t:len(), t:reverse(), t:sub(2, -2), t:byte(1), t:find("World", 1, true), (t:gsub("o", "0")), ("%5.2f"):format(3.14159), #t, input.s}
end
----
-- Csv parser.
local function parse_line(line, sep)
  sep = sep or ","
  local res, pos = {}, 1
  while true do
    local c = line:sub(pos, pos)
    if c == "" then break end
    if c == '"' then
      local txt = ""
      repeat
        local startp, endp = line:find('^%b""', pos)
        txt = txt .. line:sub(startp + 1, endp - 1)
        pos = endp + 1
        c = line:sub(pos, pos)
        if c == '"' then txt = txt .. '"' end
      until c ~= '"'
      table.insert(res, txt)
      pos = pos + 1
    else
      local startp, endp = line:find(sep, pos, true)
      if startp then
        table.insert(res, line:sub(pos, startp - 1))
        pos = endp + 1
      else
        table.insert(res, line:sub(pos))
        break
      end
    end
  end
  return res
end
function run(input) return {parse_line(input.line or 'a,"b,c",d')} end
----
-- Recursive descent calculator.
local function tokenize(s)
  local toks = {}
  local i = 1
  while i <= #s do
    local c = s:sub(i, i)
    if c:match("%s") then i = i + 1
    elseif c:match("%d") then local n = s:match("^%d+%.?%d*", i) toks[#toks + 1] = {type = "num", value = tonumber(n)} i = i + #n
    elseif c:match("[-+*/()^]") then toks[#toks + 1] = {type = c} i = i + 1
    else error("unexpected " .. c) end
  end
  toks[#toks + 1] = {type = "eof"}
  return toks
end
local function parser(toks)
  local p = 1
  local function peek() return toks[p].type end
  local function take(kind) local t = toks[p] if kind and t.type ~= kind then error("expected " .. kind) end p = p + 1 return t end
  local expr
  local function atom()
    if peek() == "(" then take() local v = expr() take(")") return v end
    if peek() == "-" then take() return -atom() end
    return take("num").value
  end
  local function power() local base = atom() if peek() == "^" then take() return base ^ power() end return base end
  local function term() local v = power() while peek() == "*" or peek() == "/" do local op = take().type local r = power() if op == "*" then v = v * r else v = v / r end end return v end
  function expr() local v = term() while peek() == "+" or peek() == "-" do if take().type == "+" then v = v + term() else v = v - term() end end return v end
  return expr
end
function run(input)
  local ok, v = pcall(function() return parser(tokenize(input.text))() end)
  if not ok then fail("bad_expression", tostring(v)) end
  return {value = v}
end
----
-- Matrix.
local Matrix = {}
local mt = {}
mt.__index = Matrix
function Matrix.new(r, c, f) local m = {r = r, c = c} for i = 1, r do m[i] = {} for j = 1, c do m[i][j] = f and f(i, j) or 0 end end return setmetatable(m, mt) end
function mt.__mul(a, b)
  return Matrix.new(a.r, b.c, function(i, j) local s = 0 for k = 1, a.c do s = s + a[i][k] * b[k][j] end return s end)
end
function mt.__eq(a, b) for i = 1, a.r do for j = 1, a.c do if a[i][j] ~= b[i][j] then return false end end end return true end
mt.__add = function(a, b) return Matrix.new(a.r, a.c, function(i, j) return a[i][j] + b[i][j] end) end
function Matrix:transpose() return Matrix.new(self.c, self.r, function(i, j) return self[j][i] end) end
function run(input) local m = Matrix.new(2, 2, function(i, j) return i + j end) return {(m * m):transpose() == m, #(m + m), input.z} end
----
-- Memoize varargs by key.
local function memo(f) local cache = {} return function(...) local key = table.concat({...}, "\0") local v = cache[key] if v == nil then v = f(...) cache[key] = v end return v end end
function run(input) local add = memo(function(a, b) return a + b end) return {add(1, 2), add(1, 2), input.x} end
----
-- LRU cache.
local LRU = {}
LRU.__index = LRU
function LRU.new(cap) local h, t = {}, {} h.next, t.prev = t, h return setmetatable({cap = cap, n = 0, map = {}, head = h, tail = t}, LRU) end
local function unlink(node) node.prev.next, node.next.prev = node.next, node.prev end
function LRU:_push(node) local first = self.head.next node.prev, node.next = self.head, first self.head.next, first.prev = node, node end
function LRU:get(k) local n = self.map[k] if not n then return nil end unlink(n) self:_push(n) return n.value end
function LRU:set(k, v)
  local n = self.map[k]
  if n then n.value = v unlink(n) self:_push(n) return end
  if self.n >= self.cap then local last = self.tail.prev unlink(last) self.map[last.key] = nil self.n = self.n - 1 end
  n = {key = k, value = v}
  self.map[k] = n self:_push(n) self.n = self.n + 1
end
function run(input) local c = LRU.new(2) c:set("a", 1) c:set("b", 2) c:get("a") c:set("c", 3) return {a = c:get("a"), b = c:get("b"), x = input.x} end
----
-- Queue.
local Queue = {}
function Queue.new() return {first = 0, last = -1} end
function Queue.push(q, v) local last = q.last + 1 q.last = last q[last] = v end
function Queue.pop(q) local first = q.first if first > q.last then error("queue is empty") end local v = q[first] q[first] = nil q.first = first + 1 return v end
function run(input) local q = Queue.new() for i = 1, 3 do Queue.push(q, i) end return {Queue.pop(q), Queue.pop(q), input.q} end
----
-- Json-like printer.
local escape = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t"}
local function dump(v, indent)
  indent = indent or ""
  local t = type(v)
  if t == "string" then return '"' .. v:gsub('["\\\n\t]', escape) .. '"' end
  if t == "number" or t == "boolean" then return tostring(v) end
  if t == "nil" then return "null" end
  if t ~= "table" then error("cannot print a " .. t) end
  local parts = {}
  if #v > 0 then
    for _, x in ipairs(v) do parts[#parts + 1] = dump(x, indent .. "  ") end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for _, k in ipairs(keys) do parts[#parts + 1] = indent .. "  " .. dump(k) .. ": " .. dump(v[k], indent .. "  ") end
  return "{\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. "}"
end
function run(input) return {text = dump(input)} end
----
-- Date arithmetic.
local days_in = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
local function leap(y) return y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) end
local function next_day(y, m, d)
  local most = days_in[m]
  if m == 2 and leap(y) then most = 29 end
  d = d + 1
  if d > most then d = 1 m = m + 1 end
  if m > 12 then m = 1 y = y + 1 end
  return y, m, d
end
local function days_from_civil(y, m, d)
  if m <= 2 then y = y - 1 end
  local era = y // 400
  local yoe = y - era * 400
  local doy = (153 * (m + (m > 2 and -3 or 9)) + 2) // 5 + d - 1
  local doe = yoe * 365 + yoe // 4 - yoe // 100 + doy
  return era * 146097 + doe - 719468
end
function run(input)
  local y, m, d = (input.date or "2024-02-28"):match("^(%d%d%d%d)-(%d%d)-(%d%d)$")
  if not y then fail("bad_date", "not a date") end
  y, m, d = next_day(tonumber(y), tonumber(m), tonumber(d))
  return {date = ("%04d-%02d-%02d"):format(y, m, d), n = days_from_civil(y, m, d)}
end
----
-- Pcall error objects.
local NotFound = setmetatable({}, {__tostring = function() return "not found" end})
local function find(t, k) local v = t[k] if v == nil then error(NotFound) end return v end
function run(input)
  local ok, err = pcall(find, {a = 1}, input.key)
  if not ok and rawequal(err, NotFound) then return {missing = true} end
  if not ok then error(err, 0) end
  return {value = err}
end
----
-- Select('#').
local function count(...) return select("#", ...) end
local function last(...) return (select(select("#", ...), ...)) end
local function tail(_, ...) return ... end
function run() return {count(nil, nil), last(1, 2, 3), tail(1, 2, 3), select(-1, 1, 2)} end
----
-- Table.unpack and multiple assignment.
function run(input)
  local a, b, c = table.unpack({1, 2, 3})
  a, b, c = c, a, b
  local t = {x = 1}
  t.x, t.y = t.y, t.x
  local q, r = a // b, a % b
  return {a, b, c, t, q, r, input.m}
end
----
-- Nested functions and forward declarations.
local odd
local function even(n) if n == 0 then return true else return odd(n - 1) end end
function odd(n) if n == 0 then return false else return even(n - 1) end end
function run(input)
  local function outer(x) local function inner(y) local function innermost(z) return x + y + z end return innermost end return inner end
  return {odd(3), outer(1)(2)(3), input.q}
end
----
-- Repeat until with local in condition.
function run(input)
  local i, lines = 0, {}
  repeat local line = ("x"):rep(i) lines[#lines + 1] = line i = i + 1 local stop = #line > 3 until stop or i > 10
  return {lines = lines, i = input.i}
end
----
-- Shadowing by inner local.
function run(input)
  local x = 1
  do local x = x + 1 if x > 1 then local x = "inner" return {x = x, i = input.i} end end
  return {x = x}
end
----
-- Unused _ and loops.
function run(input)
  local n = 0
  for _ = 1, 5 do n = n + 1 end
  for _, _ in pairs({1, 2}) do n = n + 1 end
  local _, second = ("a b"):match("(%a) (%a)")
  for i = 10, 1, -2 do n = n + i end
  for i = 1.0, 2, 0.25 do n = n + i end
  return {n = n, s = second, q = input.q}
end
----
-- String formatting.
function run(input)
  return {("%d %5d %-5d| %05d %x %X %o %e %g %q %s %% %c %a"):format(1, 2, 3, 4, 255, 255, 8, 1.5, 1.5, "q", "s", 65, 1.0), string.format("%-10s|", "ab"), string.format("%.3s", "abcdef"), tostring(input.v)}
end
----
-- Binary search.
local function search(t, x) local lo, hi = 1, #t while lo <= hi do local mid = (lo + hi) // 2 if t[mid] == x then return mid elseif t[mid] < x then lo = mid + 1 else hi = mid - 1 end end return nil end
function run(input) return {i = search({1, 3, 5, 7}, 5), n = search(input.list or {}, 1)} end
----
-- Quicksort.
local function qsort(t, lo, hi)
  lo, hi = lo or 1, hi or #t
  if lo < hi then
    local p, i = t[hi], lo - 1
    for j = lo, hi - 1 do if t[j] <= p then i = i + 1 t[i], t[j] = t[j], t[i] end end
    t[i + 1], t[hi] = t[hi], t[i + 1]
    qsort(t, lo, i) qsort(t, i + 2, hi)
  end
  return t
end
function run(input) local copy = {table.unpack(input.list or {3, 1, 2})} return {sorted = qsort(copy)} end
----
-- Mergesort.
local function merge(a, b) local out, i, j = {}, 1, 1 while i <= #a and j <= #b do if a[i] <= b[j] then out[#out + 1] = a[i] i = i + 1 else out[#out + 1] = b[j] j = j + 1 end end for k = i, #a do out[#out + 1] = a[k] end for k = j, #b do out[#out + 1] = b[k] end return out end
local function msort(t) if #t < 2 then return t end local mid = #t // 2 return merge(msort(table.move(t, 1, mid, 1, {})), msort(table.move(t, mid + 1, #t, 1, {}))) end
function run(input) return {msort(input.list or {2, 1})} end
----
-- Set operations with metatables.
local Set = {}
Set.mt = {}
function Set.new(l) local s = {} setmetatable(s, Set.mt) for _, v in ipairs(l) do s[v] = true end return s end
Set.mt.__add = function(a, b) local r = Set.new({}) for k in pairs(a) do r[k] = true end for k in pairs(b) do r[k] = true end return r end
Set.mt.__mul = function(a, b) local r = Set.new{} for k in pairs(a) do r[k] = b[k] end return r end
Set.mt.__le = function(a, b) for k in pairs(a) do if not b[k] then return false end end return true end
Set.mt.__lt = function(a, b) return a <= b and not (b <= a) end
function Set.tolist(s) local l = {} for k in pairs(s) do l[#l + 1] = k end table.sort(l) return l end
function run(input) local a, b = Set.new{1, 2}, Set.new{2, 3} return {Set.tolist(a + b), Set.tolist(a * b), a < b, input.c} end
----
-- Linked list.
local function cons(a, b) return {head = a, tail = b} end
local function list(...) local l for i = select("#", ...), 1, -1 do l = cons((select(i, ...)), l) end return l end
local function iter(l) return function() if l then local v = l.head l = l.tail return v end end end
function run(input) local s = 0 for v in iter(list(1, 2, 3)) do s = s + v end return {s, input.k} end
----
-- Functional helpers.
local function map(t, f) local r = {} for i, v in ipairs(t) do r[i] = f(v, i) end return r end
local function filter(t, p) local r = {} for _, v in ipairs(t) do if p(v) then r[#r + 1] = v end end return r end
local function reduce(t, f, acc) for _, v in ipairs(t) do acc = f(acc, v) end return acc end
local function compose(...) local fs = {...} return function(x) for i = #fs, 1, -1 do x = fs[i](x) end return x end end
local function curry(f, n) n = n or 2 if n < 2 then return f end local function helper(k, args) return function(x) local a = {table.unpack(args)} a[#a + 1] = x if k == 1 then return f(table.unpack(a)) end return helper(k - 1, a) end end return helper(n, {}) end
function run(input)
  local r = reduce(filter(map(input.xs or {1, 2, 3}, function(x) return x * x end), function(x) return x % 2 == 1 end), function(a, b) return a + b end, 0)
  return {r, compose(function(x) return x + 1 end, function(x) return x * 2 end)(3), curry(function(a, b) return a - b end)(5)(3)}
end
----
-- Heap.
local Heap = {} Heap.__index = Heap
function Heap.new(cmp) return setmetatable({cmp = cmp or function(a, b) return a < b end}, Heap) end
function Heap:push(v) self[#self + 1] = v local i = #self while i > 1 do local p = i // 2 if not self.cmp(self[i], self[p]) then break end self[i], self[p] = self[p], self[i] i = p end end
function Heap:pop()
  local top, n = self[1], #self
  self[1] = self[n] self[n] = nil n = n - 1
  local i = 1
  while true do
    local l, r, m = 2 * i, 2 * i + 1, i
    if l <= n and self.cmp(self[l], self[m]) then m = l end
    if r <= n and self.cmp(self[r], self[m]) then m = r end
    if m == i then return top end
    self[i], self[m] = self[m], self[i]
    i = m
  end
end
function run(input) local h = Heap.new() for _, v in ipairs(input.xs or {3, 1, 2}) do h:push(v) end return {h:pop(), h:pop()} end
----
-- Dijkstra.
function run(input)
  local graph = input.graph or {a = {b = 1, c = 4}, b = {c = 2}, c = {}}
  local dist, done = {}, {}
  for n in pairs(graph) do dist[n] = math.huge end
  dist.a = 0
  while true do
    local u
    for n, d in pairs(dist) do if not done[n] and d < math.huge and (not u or d < dist[u]) then u = n end end
    if not u then break end
    done[u] = true
    for v, w in pairs(graph[u]) do local alt = dist[u] + w if alt < (dist[v] or math.huge) then dist[v] = alt end end
  end
  return dist
end
----
-- BFS grid.
function run(input)
  local w, h = input.w or 3, input.h or 3
  local seen, queue, head = {["1,1"] = 0}, {{1, 1}}, 1
  local dirs = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}}
  while queue[head] do
    local x, y = table.unpack(queue[head]) head = head + 1
    for _, d in ipairs(dirs) do
      local nx, ny = x + d[1], y + d[2]
      local key = nx .. "," .. ny
      if nx >= 1 and ny >= 1 and nx <= w and ny <= h and not seen[key] then seen[key] = seen[x .. "," .. y] + 1 queue[#queue + 1] = {nx, ny} end
    end
  end
  return {far = seen[w .. "," .. h]}
end
----
-- String builder and buffer.
local Buffer = {}
Buffer.__index = Buffer
Buffer.__tostring = function(b) return table.concat(b.parts) end
Buffer.__concat = function(a, b) return tostring(a) .. tostring(b) end
function Buffer.new() return setmetatable({parts = {}}, Buffer) end
function Buffer:add(fmt, ...) self.parts[#self.parts + 1] = select("#", ...) > 0 and fmt:format(...) or fmt return self end
function run(input) local b = Buffer.new():add("a"):add("%d", 3) return {text = tostring(b), more = b .. "x", i = input.i} end
----
-- Template.
function run(input)
  local out = ("Hello ${name}, you are ${age}"):gsub("%${(%w+)}", function(k) return tostring(input[k] or "?") end)
  local out2 = ("$name"):gsub("%$(%w+)", {name = "x"})
  return {out, out2}
end
----
-- Word frequency.
function run(input)
  local freq = setmetatable({}, {__index = function() return 0 end})
  for w in (input.text or ""):gmatch("%w+") do freq[w:lower()] = freq[w:lower()] + 1 end
  local keys = {} for k in next, freq do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) if freq[a] ~= freq[b] then return freq[a] > freq[b] end return a < b end)
  local out = {} for i = 1, math.min(3, #keys) do out[i] = {word = keys[i], n = freq[keys[i]]} end
  return {top = out}
end
----
-- Roman numerals.
local map = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}}
function run(input) local n, s = input.n or 1994, "" for _, p in ipairs(map) do while n >= p[1] do s = s .. p[2] n = n - p[1] end end return {s = s} end
----
-- Base64 by hand.
local b = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function enc(data)
  return ((data:gsub(".", function(x) local r, c = "", x:byte() for i = 8, 1, -1 do r = r .. (c % 2 ^ i - c % 2 ^ (i - 1) > 0 and "1" or "0") end return r end) .. "0000"):gsub("%d%d%d?%d?%d?%d?", function(x) if #x < 6 then return "" end local c = 0 for i = 1, 6 do c = c + (x:sub(i, i) == "1" and 2 ^ (6 - i) or 0) end return b:sub(c // 1 + 1, c // 1 + 1) end) .. ({"", "==", "="})[#data % 3 + 1])
end
function run(input) return {enc(input.s or "hello")} end
----
-- Crc32.
local function crc32(s) local crc = 0xFFFFFFFF for i = 1, #s do crc = crc ~ s:byte(i) for _ = 1, 8 do crc = (crc >> 1) ~ (0xEDB88320 & -(crc & 1)) end end return ~crc & 0xFFFFFFFF end
function run(input) return {crc = crc32(input.s or "x")} end
----
-- Luhn with while.
function run(input)
  local digits = (input.number or "79927398713"):gsub("%D", "")
  local sum, double = 0, false
  local i = #digits
  while i > 0 do local d = digits:byte(i) - 48 if double then d = d * 2 if d > 9 then d = d - 9 end end sum = sum + d double = not double i = i - 1 end
  return {ok = sum % 10 == 0}
end
----
-- State machine by gotos.
function run(input)
  local s, i, n = input.s or "aab", 0, 0
  ::start::
  i = i + 1
  if i > #s then goto finish end
  if s:sub(i, i) == "a" then n = n + 1 goto start end
  ::other::
  i = i + 1
  if i <= #s then if s:sub(i, i) == "a" then goto start end goto other end
  ::finish::
  return {n = n}
end
----
-- Enums and const.
local RED <const>, GREEN <const>, BLUE <const> = 1, 2, 3
local names <const> = {[RED] = "red", [GREEN] = "green", [BLUE] = "blue"}
function run(input) return {names[input.c or RED]} end
----
-- Switch table with default.
local actions = setmetatable({add = function(a, b) return a + b end, neg = function(a) return -a end}, {__index = function(_, k) return function() return "unknown " .. tostring(k) end end})
function run(input) return {actions.add(1, 2), actions.neg(2), actions[input.op]()} end
----
-- Proxies with __newindex.
local function strict(t) return setmetatable({}, {__index = t, __newindex = function(_, k, v) if rawget(t, k) == nil then error("no field " .. tostring(k), 2) end t[k] = v end, __len = function() return #t end}) end
function run(input) local s = strict({a = 1}) s.a = 2 local ok, e = pcall(function() s.b = 1 end) return {s.a, ok, tostring(e), #s, input.x} end
----
-- Observers.
local Emitter = {} Emitter.__index = Emitter
function Emitter.new() return setmetatable({handlers = {}}, Emitter) end
function Emitter:on(name, f) local l = self.handlers[name] or {} l[#l + 1] = f self.handlers[name] = l return function() for i, g in ipairs(l) do if g == f then table.remove(l, i) break end end end end
function Emitter:emit(name, ...) for _, f in ipairs(self.handlers[name] or {}) do f(...) end end
function run(input) local log, e = {}, Emitter.new() local off = e:on("x", function(v) log[#log + 1] = v end) e:emit("x", 1) off() e:emit("x", 2) return {log, input.y} end
----
-- Coroutines producer consumer.
local function producer(n) return coroutine.create(function() for i = 1, n do coroutine.yield(i) end return "done" end) end
local function filter(co) return coroutine.create(function() while true do local ok, v = coroutine.resume(co) if not ok or coroutine.status(co) == "dead" then return v end if v % 2 == 0 then coroutine.yield(v) end end end) end
function run(input)
  local co, out = filter(producer(input.n or 6)), {}
  while coroutine.status(co) ~= "dead" do local _, v = coroutine.resume(co) out[#out + 1] = v end
  return {out = out}
end
----
-- Tail recursion / trampolines.
local function loop(n, acc) if n == 0 then return acc end return loop(n - 1, acc + n) end
local function trampoline(f, ...) local r = f(...) while type(r) == "function" do r = r() end return r end
local function bounce(n) if n == 0 then return "end" end return function() return bounce(n - 1) end end
function run(input) return {loop(100, 0), trampoline(bounce, 10), input.x} end
----
-- Y combinator.
local function Y(f) return (function(x) return x(x) end)(function(x) return f(function(...) return x(x)(...) end) end) end
function run(input) return {Y(function(self) return function(n) if n == 0 then return 1 end return n * self(n - 1) end end)(input.n or 5)} end
----
-- Deep compare.
local function eq(a, b) if type(a) ~= type(b) then return false end if type(a) ~= "table" then return a == b end for k, v in pairs(a) do if not eq(v, b[k]) then return false end end for k in pairs(b) do if a[k] == nil then return false end end return true end
function run(input) return {same = eq(input.a, input.b)} end
----
-- Path get/set.
local function get(t, path, default) for key in path:gmatch("[^.]+") do if type(t) ~= "table" then return default end t = t[tonumber(key) or key] end if t == nil then return default end return t end
local function set(t, path, value) local keys = {} for k in path:gmatch("[^.]+") do keys[#keys + 1] = k end for i = 1, #keys - 1 do t[keys[i]] = t[keys[i]] or {} t = t[keys[i]] end t[keys[#keys]] = value end
function run(input) local out = {} set(out, "a.b.c", get(input, "x.y", 0)) return out end
----
-- Levenshtein.
function run(input)
  local a, b = input.a or "kitten", input.b or "sitting"
  local prev = {}
  for j = 0, #b do prev[j] = j end
  for i = 1, #a do
    local cur = {[0] = i}
    for j = 1, #b do cur[j] = math.min(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (a:byte(i) == b:byte(j) and 0 or 1)) end
    prev = cur
  end
  return {distance = prev[#b]}
end
----
-- Longest common subsequence.
function run(input)
  local a, b, t = input.a or "abc", input.b or "ac", {}
  for i = 0, #a do t[i] = {} for j = 0, #b do t[i][j] = (i == 0 or j == 0) and 0 or (a:sub(i, i) == b:sub(j, j) and t[i - 1][j - 1] + 1 or math.max(t[i - 1][j], t[i][j - 1])) end end
  local out, i, j = {}, #a, #b
  while i > 0 and j > 0 do
    if a:sub(i, i) == b:sub(j, j) then table.insert(out, 1, a:sub(i, i)) i, j = i - 1, j - 1
    elseif t[i - 1][j] > t[i][j - 1] then i = i - 1 else j = j - 1 end
  end
  return {lcs = table.concat(out)}
end
----
-- Sieve.
function run(input) local n, c, out = input.n or 50, {}, {} for i = 2, n do if not c[i] then out[#out + 1] = i for j = i * i, n, i do c[j] = true end end end return {out} end
----
-- Gcd, fractions.
local Fraction = {}
Fraction.__index = Fraction
local function gcd(a, b) while b ~= 0 do a, b = b, a % b end return a end
local function frac(n, d) local g = gcd(n, d) return setmetatable({n = n // g, d = d // g}, Fraction) end
Fraction.__add = function(a, b) return frac(a.n * b.d + b.n * a.d, a.d * b.d) end
Fraction.__unm = function(a) return frac(-a.n, a.d) end
Fraction.__sub = function(a, b) return a + -b end
Fraction.__tostring = function(f) return f.n .. "/" .. f.d end
function run(input) return {tostring(frac(1, 2) + frac(1, 3)), tostring(frac(1, 2) - frac(1, 3)), input.x} end
----
-- Statistics.
local function mean(t) local s = 0 for i = 1, #t do s = s + t[i] end return s / #t end
local function stddev(t) local m, s = mean(t), 0 for _, v in ipairs(t) do s = s + (v - m) ^ 2 end return math.sqrt(s / (#t - 1)) end
local function median(t) local c = {table.unpack(t)} table.sort(c) local n = #c return n % 2 == 1 and c[n // 2 + 1] or (c[n // 2] + c[n // 2 + 1]) / 2 end
function run(input) local xs = input.xs or {1, 2, 3, 4} if #xs < 2 then fail("too_few") end return {mean = mean(xs), sd = stddev(xs), median = median(xs)} end
----
-- Group by / index by.
local function group(rows, key) local g = {} for _, r in ipairs(rows) do local k = r[key] if k ~= nil then g[k] = g[k] or {} table.insert(g[k], r) end end return g end
function run(input) local out = {} for k, rows in pairs(group(input.rows or {}, "city")) do out[#out + 1] = {city = k, n = #rows} end table.sort(out, function(a, b) return a.city < b.city end) return {out = out} end
----
-- String split functions.
local function split(s, sep) local out = {} for piece in (s .. sep):gmatch("(.-)" .. sep:gsub("%p", "%%%0")) do out[#out + 1] = piece end return out end
local function split2(s, sep) local out, from = {}, 1 while true do local i, j = s:find(sep, from, true) if not i then out[#out + 1] = s:sub(from) return out end out[#out + 1] = s:sub(from, i - 1) from = j + 1 end end
function run(input) return {split("a.b.c", "."), split2("a--b", "--"), input.x} end
----
-- Utf8.
function run(input)
  local s, out = input.s or "héllo", {}
  for p, c in utf8.codes(s) do out[#out + 1] = {p, c} end
  for ch in s:gmatch(utf8.charpattern) do out[#out + 1] = ch end
  return {out, utf8.len(s), utf8.char(72, 228), utf8.offset(s, 2), utf8.codepoint(s, 1, -1)}
end
----
-- Url encode/decode.
local function encode(s) return (s:gsub("[^%w%-%._~]", function(c) return ("%%%02X"):format(c:byte()) end)) end
local function decode(s) return (s:gsub("+", " "):gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)) end
function run(input) local q = {} for k, v in pairs(input.params or {}) do q[#q + 1] = encode(k) .. "=" .. encode(tostring(v)) end table.sort(q) return {table.concat(q, "&"), decode("a%20b+c")} end
----
-- Ini parser with goto continue.
function run(input)
  local data, section = {}, nil
  for raw in ((input.text or "[a]\nx=1\n; c\n") .. "\n"):gmatch("(.-)\r?\n") do
    local line = raw:gsub("^%s+", ""):gsub("%s+$", "")
    if line == "" or line:match("^[;#]") then goto continue end
    do
      local s = line:match("^%[([^%]]+)%]$")
      if s then section = s data[s] = data[s] or {} goto continue end
      local k, v = line:match("^([%w_]+)%s*=%s*(.-)$")
      if k and section then data[section][k] = tonumber(v) or (v == "true") or v end
    end
    ::continue::
  end
  return data
end
----
-- Numeric formatting with thousands.
local function commas(n) local left, num, right = tostring(n):match("^([^%d]*%d)(%d*)(.-)$") return left .. (num:reverse():gsub("(%d%d%d)", "%1,"):reverse()) .. right end
function run(input) return {commas(input.n or 1234567.89)} end
----
-- Rounding.
local function round(x, n) local m = 10 ^ (n or 0) return (x >= 0 and math.floor(x * m + 0.5) or math.ceil(x * m - 0.5)) / m end
function run(input) return {round(input.x or 2.345, 2), math.tointeger(3.0), math.type(1), math.ult(1, 2), math.fmod(7, 3), math.modf(3.7)} end
----
-- Upvalue shared by closures in loop.
function run(input) local fs = {} for i = 1, 3 do local j = i fs[i] = function() j = j + 1 return j end end return {fs[1](), fs[1](), fs[2](), input.x} end
----
-- Self-referential local function via table.
local M = {}
function M.fact(n) return n <= 1 and 1 or n * M.fact(n - 1) end
M.sub = {deep = {}}
function M.sub.deep.f(x) return x end
function M.sub.deep:g(x) return self, x end
function run(input) return {M.fact(5), M.sub.deep.f(1), select(2, M.sub.deep:g(2)), input.a} end
----
-- Immediate functions.
local config = (function() local c = {debug = false} c.level = c.debug and 2 or 1 return c end)()
function run(input) return {config.level, (function(...) return select("#", ...) end)(1, 2, 3), input.z} end
----
-- Long strings, comments, numbers.
--[==[ a long
comment ]==]
local text = [[
line one
line two]]
local n = 0x10 + 1e-2 + 3. + .5 + 0xA.8p1 + 1E+2
function run(input) return {text, n, "a\
b", 'it\'s' == nil, "\u{48}\x41\65\z
   z", input.q} end
----
-- Local function overriding with the same local twice.
local x = 1
local x = x + 1
local function f() return x end
local function g() return f() end
function run(input) return {g(), input.y} end
----
-- Conditional assignment idioms.
function run(input)
  local name = input.name and input.name ~= "" and input.name or "anonymous"
  local n = tonumber(input.n) or 0
  local flag = not not input.flag
  local kind = n > 0 and "pos" or n < 0 and "neg" or "zero"
  local list = type(input.list) == "table" and input.list or {input.list}
  return {name = name, n = n, flag = flag, kind = kind, size = #list}
end
----
-- If chain returning on all branches.
local function sign(x) if x > 0 then return 1 elseif x < 0 then return -1 else return 0 end end
function run(input) if input.x then return {sign(input.x)} elseif input.y then return {sign(input.y)} else return {0} end end
----
-- While true with return inside nested if.
function run(input)
  local i = 0
  while true do
    i = i + 1
    if i > 5 then
      if input.stop then return {i} end
      do return {i, "stopped"} end
    end
  end
end
----
-- While true with error exit.
local function walk(n) while true do n = n - 1 if n < 0 then error("below") end end end
function run(input) local ok, e = pcall(walk, 3) return {ok, tostring(e), input.x} end
----
-- While true with goto exit.
function run(input) local i = 0 while true do i = i + 1 if i == 3 then goto out end end ::out:: return {i, input.x} end
----
-- Repeat until false with break.
function run(input) local i = 0 repeat i = i + 1 if i > 3 then break end until false return {i, input.x} end
----
-- While 1 do ... break.
function run(input) local n = 0 while 1 do n = n + 1 if n >= (input.max or 3) then break end end return {n} end
----
-- Table functions.
function run(input)
  local t = {5, 3, 1}
  table.insert(t, 4) table.insert(t, 1, 9) local r = table.remove(t) table.remove(t, 1)
  table.sort(t, function(a, b) return a > b end)
  local m = table.move(t, 1, #t, 2, {0})
  local p = table.pack(1, nil, 3)
  return {t, r, m, p.n, table.concat(t, ","), #table.create(3), input.x}
end
----
-- Metatable arithmetic vector with __index function.
local Vec = {}
local getters = {length = function(v) return (v.x ^ 2 + v.y ^ 2) ^ 0.5 end}
Vec.__index = function(v, k) return getters[k] and getters[k](v) or Vec[k] end
Vec.__add = function(a, b) return setmetatable({x = a.x + b.x, y = a.y + b.y}, Vec) end
Vec.__idiv = function(a, n) return setmetatable({x = a.x // n, y = a.y // n}, Vec) end
function Vec:dot(o) return self.x * o.x + self.y * o.y end
function run(input) local v = setmetatable({x = 3, y = 4}, Vec) return {v.length, v:dot(v), (v + v).x, (v // 2).x, input.x} end
----
-- Iterators stateful and stateless.
local function range(n) local function step(max, i) if i < max then return i + 1 end end return step, n, 0 end
local function enumerate(t) local i = 0 return function() i = i + 1 if t[i] ~= nil then return i, t[i] end end end
local function sorted(t) local keys = {} for k in pairs(t) do keys[#keys + 1] = k end table.sort(keys) local i = 0 return function() i = i + 1 if keys[i] then return keys[i], t[keys[i]] end end end
function run(input) local s = 0 for i in range(3) do s = s + i end for i, v in enumerate({4, 5}) do s = s + i * v end for k, v in sorted({b = 1, a = 2}) do s = s .. k .. v end return {s, input.x} end
----
-- Chain of method calls over lines.
local Query = {}
Query.__index = Query
function Query:where(f) self.filters[#self.filters + 1] = f return self end
function Query:limit(n) self.max = n return self end
function Query:all()
  local out = {}
  for _, r in ipairs(self.rows) do
    local ok = true
    for _, f in ipairs(self.filters) do if not f(r) then ok = false break end end
    if ok then out[#out + 1] = r end
    if self.max and #out == self.max then break end
  end
  return out
end
local function from(rows) return setmetatable({rows = rows, filters = {}}, Query) end
function run(input)
  return {rows = from(input.rows or {})
    :where(function(r) return r.n and r.n > 1 end)
    :limit(5)
    :all()}
end
----
-- Optional semicolons, odd formatting.
function run ( input ) ;
  local a = 1 ; local b = 2 ;
  ; ; ;
  if ( a ) then ( function ( ) return b end ) ( ) end ;
  return { a , b ; input . x , [ "k" ] = 1 ; }
end
----
-- Parenthesised calls with string/table args.
local function f(t) return t end
local s = f"x" .. f'y' .. f[[z]]
local t = f{1, 2}
function run(input) return {s, t, #f{1}, ("x"):rep(3), input.f} end
----
-- Bank with error codes.
local function withdraw(acc, amount)
  if amount <= 0 then return nil, "invalid" end
  if acc.balance < amount then return nil, "insufficient" end
  acc.balance = acc.balance - amount
  return acc.balance
end
function run(input)
  local acc = {balance = input.balance or 10}
  local left, why = withdraw(acc, input.amount or 5)
  if not left then fail(why, "could not withdraw", {details = {balance = acc.balance}}) end
  return {left = left}
end
----
-- Retry with pcall.
local function retry(n, f, ...)
  local last
  for attempt = 1, n do
    local r = table.pack(pcall(f, ...))
    if r[1] then return table.unpack(r, 2, r.n) end
    last = r[2]
    if attempt == n then error(last, 0) end
  end
end
function run(input) local k = 0 return {retry(3, function() k = k + 1 if k < 2 then error("again") end return k end), input.x} end
----
-- Error with level and tables, assert with message.
function run(input)
  local v = assert(tonumber(input.v or "3"), "v must be a number")
  local ok, e = pcall(error, {code = 5})
  local ok2, e2 = pcall(assert, false, "msg")
  local ok3, e3 = pcall(assert, nil)
  return {v, ok, e.code, ok2, e2, ok3, tostring(e3)}
end
----
-- Xpcall with handler and args.
local function handler(e) return {message = tostring(e)} end
function run(input) local ok, r = xpcall(function(a, b) return a / b end, handler, 1, input.d or 2) return {ok, r} end
----
-- Nested tables with computed keys.
local K = "key"
local t = {[K] = 1, [K .. "2"] = 2, [1] = "a", [true] = "t", [2.5] = "f", nested = {[K] = {[K] = 3}}}
function run(input) return {t[K], t.nested[K][K], t[K .. "2"], t[true] and 1, input[K]} end
----
-- Counting sort of chars.
function run(input) local c = {} for ch in (input.s or "banana"):gmatch(".") do c[ch] = (c[ch] or 0) + 1 end local out = {} for k, v in pairs(c) do out[#out + 1] = k .. v end table.sort(out) return {s = table.concat(out)} end
----
-- Palindromes & anagram.
local function clean(s) return s:lower():gsub("[^%a]", "") end
local function is_palindrome(s) s = clean(s) return s == s:reverse() end
function run(input) return {is_palindrome(input.s or "A man, a plan")} end
----
-- Tower of hanoi.
local function hanoi(n, a, b, c, moves) if n == 0 then return moves end hanoi(n - 1, a, c, b, moves) moves[#moves + 1] = a .. ">" .. c return hanoi(n - 1, b, a, c, moves) end
function run(input) return {#hanoi(input.n or 3, "A", "B", "C", {})} end
----
-- N queens.
local function queens(n) local sols, cols = 0, {} local function safe(r, c) for i = 1, r - 1 do if cols[i] == c or math.abs(cols[i] - c) == r - i then return false end end return true end local function place(r) if r > n then sols = sols + 1 return end for c = 1, n do if safe(r, c) then cols[r] = c place(r + 1) end end end place(1) return sols end
function run(input) return {n = queens(input.n or 4)} end
----
-- Game of life.
function run(input)
  local g = input.grid or {{0, 1, 0}, {0, 1, 0}, {0, 1, 0}}
  local h, w = #g, #g[1]
  local out = {}
  for y = 1, h do
    out[y] = {}
    for x = 1, w do
      local n = 0
      for dy = -1, 1 do for dx = -1, 1 do if not (dx == 0 and dy == 0) then n = n + ((g[y + dy] or {})[x + dx] or 0) end end end
      out[y][x] = (n == 3 or (n == 2 and g[y][x] == 1)) and 1 or 0
    end
  end
  return {grid = out}
end
----
-- Error helpers in a table, no return after.
local errors = {}
function errors.bad(msg) fail("bad", msg) end
function run(input)
  if input.a then return {a = 1} end
  errors.bad("no a")
end
----
-- Method that raises.
local Problem = {} Problem.__index = Problem
function Problem.new(code) return setmetatable({code = code}, Problem) end
function Problem:raise() error(self) end
function run(input)
  if input.x then return {1} end
  local p = Problem.new("x")
  p:raise()
end
----
-- Constructor table of raisers.
local raise = {missing = function(k) error("missing " .. k, 0) end}
function run(input) if input.k then return {k = 1} else raise.missing("k") end end
----
-- Accessor methods with a local key.
local function accessor(name) return function(self) return self["_" .. name] end end
local P = {} P.__index = P
for _, name in ipairs({"x", "y"}) do local key = "get_" .. name P[key] = accessor(name) end
function run(input) local p = setmetatable({_x = 1, _y = 2}, P) return {p:get_x(), p:get_y(), input.x} end
----
-- Format'd method names.
local C = {} C.__index = C
for i, n in ipairs({"a", "b"}) do C[("is_%s"):format(n)] = function(self) return self.v == i end end
function run(input) return {setmetatable({v = 1}, C):is_a(), input.q} end
----
-- Super_ copies by prefix.
local Base = {greet = function(self) return "hi " .. self.name end}
local Sub = {} Sub.__index = Sub
for k, v in pairs(Base) do Sub["super_" .. k] = v Sub[k] = v end
function run(input) return {setmetatable({name = "x"}, Sub):super_greet(), input.a} end
----
-- Index function passed as a parameter.
local function object(index) return setmetatable({}, {__index = index}) end
function run(input) local o = object(function(_, k) return function(_, x) return k .. tostring(x) end end) return {o:anything(1), o:more(2), input.x} end
----
-- Rawset'd methods.
local K = {} K.__index = K
for _, n in ipairs({"up", "down"}) do rawset(K, "go_" .. n, function(self) self.at = n return self end) end
function run(input) return {setmetatable({}, K):go_up():go_down().at, input.x} end
----
-- Default of the input.
function run(input)
  input = input or {}
  local name = input.name or "x"
  return {name = name}
end
----
-- No-op stub called with arguments.
local function log() end
local function noop(...) end
function run(input) log("start", input) noop(1, 2) return {x = 1} end
----
-- Stub with arguments dropped on purpose by callback.
local function first(a) return a end
function run(input) return {first(table.unpack({1, 2, 3})), first((function() return 1, 2 end)()), input.x} end
----
--: {"input": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["a", "b"]}}}}
-- Enum exhaustive if/elseif.
function run(input)
  if input.kind == "a" then return {1}
  elseif input.kind == "b" then return {2} end
end
----
-- Sign exhaustive.
local function sign(x)
  if x > 0 then return 1 elseif x < 0 then return -1 elseif x == 0 then return 0 end
end
function run(input) return {sign(input.x or 1)} end
----
-- Local used only in a later closure; recursion through table; late binding.
local M = {}
local helper
function M.go(n) return helper(n) end
helper = function(n) if n > 3 then return n end return M.go(n + 1) end
function run(input) return {M.go(input.n or 0)} end
----
-- Loops left by error inside methods.
local Stream = {} Stream.__index = Stream
function Stream:next() self.i = self.i + 1 if self.i > #self.s then error("eof", 0) end return self.s:sub(self.i, self.i) end
function run(input)
  local s, out = setmetatable({s = input.s or "abc", i = 0}, Stream), {}
  pcall(function() while true do out[#out + 1] = s:next() end end)
  return {out = out}
end
----
-- Loops left by an upvalue function.
local function each(f) local i = 0 while true do i = i + 1 f(i) end end
function run(input) local n = 0 pcall(each, function(i) n = i if i > 5 then error("stop") end end) return {n, input.x} end
----
-- Coroutine server loop, never ends by itself.
local function server() return coroutine.wrap(function(first) local x = first while true do x = coroutine.yield(x * 2) end end) end
function run(input) local s = server() return {s(1), s(2), input.x} end
----
-- Yield within a helper in an endless loop.
local function send(x) coroutine.yield(x) end
local function naturals() return coroutine.wrap(function() local n = 0 repeat n = n + 1 send(n) until false end) end
function run(input) local g = naturals() return {g(), g(), input.a} end
----
-- Endless loop with method call that yields.
local Task = {} Task.__index = Task
function Task:wait() coroutine.yield(self) end
local function make() local t = setmetatable({n = 0}, Task) return coroutine.wrap(function() while true do t.n = t.n + 1 t:wait() end end) end
function run(input) local m = make() m() return {m().n, input.x} end
----
-- Goto based loops and labels.
function run(input)
  local i = 1
  ::top::
  if i <= 3 then i = i + 1 goto top end
  do goto skip end
  ::skip::
  for j = 1, 2 do
    if j == 1 then goto next_j end
    i = i + j
    ::next_j::
  end
  return {i, input.x}
end
----
-- Nested continue labels of the same name.
function run(input)
  local n = 0
  for i = 1, 3 do
    for j = 1, 3 do
      if i == j then goto continue end
      n = n + 1
      ::continue::
    end
    if i == 2 then goto continue end
    n = n + 10
    ::continue::
  end
  return {n, input.x}
end
----
-- While true, inner loop break and outer return.
function run(input)
  local i = 0
  while true do
    for _ = 1, 3 do i = i + 1 if i > 7 then return {i, input.x} end if i % 2 == 0 then break end end
  end
end
----
-- Repeat ... until with continue by goto and nested function.
function run(input)
  local i, t = 0, {}
  repeat
    i = i + 1
    local ok = i % 2 == 0
    if ok then t[#t + 1] = function() return i end end
  until i >= 6 or not t
  return {#t, t[1](), input.x}
end
----
-- Shadowing.
local function f(value, n)
  local value = tostring(value)
  for i = 1, n do local m = i value = value .. m end
  return value
end
function run(input) return {f(1, 2), input.x} end
----
-- Function values in tables of tables.
local routes = {
  {pattern = "^/users/(%d+)$", handler = function(id) return {user = id} end},
  {pattern = "^/$", handler = function() return {home = true} end},
}
function run(input)
  local path = input.path or "/users/7"
  for _, route in ipairs(routes) do
    local captures = {path:match(route.pattern)}
    if captures[1] then return route.handler(table.unpack(captures)) end
  end
  return {status = 404}
end
----
-- Middleware chain.
local function chain(list) return function(req) local i = 0 local function nxt(r) i = i + 1 local m = list[i] if m then return m(r, nxt) end return r end return nxt(req) end end
function run(input) return {chain({function(r, n) r.a = 1 return n(r) end, function(r, n) r.b = 2 return n(r) end})({x = input.x}).b} end
----
-- Promises/maybe.
local Maybe = {} Maybe.__index = Maybe
local Nothing = setmetatable({}, Maybe)
function Maybe.just(v) return setmetatable({v = v}, Maybe) end
function Maybe:bind(f) if self == Nothing then return self end return f(self.v) end
function Maybe:get(default) if self == Nothing then return default end return self.v end
function run(input) return {Maybe.just(3):bind(function(x) return x > 2 and Maybe.just(x) or Nothing end):get(0), input.x} end
----
-- Tokenizer table of patterns.
local specs = {{"number", "^%d+%.?%d*"}, {"name", "^[%a_][%w_]*"}, {"op", "^[-+*/=()]"}, {"space", "^%s+"}}
local function lex(s)
  local pos, out = 1, {}
  while pos <= #s do
    local hit
    for _, spec in ipairs(specs) do
      local a, b = s:find(spec[2], pos)
      if a then hit = true if spec[1] ~= "space" then out[#out + 1] = {spec[1], s:sub(a, b)} end pos = b + 1 break end
    end
    if not hit then error(("bad character %q at %d"):format(s:sub(pos, pos), pos)) end
  end
  return out
end
function run(input) return {lex(input.s or "x = 1 + 2")} end
----
-- Json parser by hand.
local parse_value
local function skip(s, i) return s:match("^%s*()", i) end
local function parse_string(s, i) local out, j = {}, i + 1 while true do local c = s:sub(j, j) if c == "" then error("unterminated") end if c == '"' then return table.concat(out), j + 1 end if c == "\\" then local e = s:sub(j + 1, j + 1) out[#out + 1] = ({n = "\n", t = "\t"})[e] or e j = j + 2 else out[#out + 1] = c j = j + 1 end end end
local function parse_array(s, i)
  local out = {}
  i = skip(s, i + 1)
  if s:sub(i, i) == "]" then return out, i + 1 end
  while true do
    out[#out + 1], i = parse_value(s, i)
    i = skip(s, i)
    local c = s:sub(i, i)
    if c == "]" then return out, i + 1 end
    if c ~= "," then error("expected , at " .. i) end
    i = skip(s, i + 1)
  end
end
local function parse_object(s, i)
  local out, key = {}, nil
  i = skip(s, i + 1)
  if s:sub(i, i) == "}" then return out, i + 1 end
  while true do
    key, i = parse_string(s, i)
    i = skip(s, i)
    if s:sub(i, i) ~= ":" then error("expected :") end
    out[key], i = parse_value(s, skip(s, i + 1))
    i = skip(s, i)
    if s:sub(i, i) == "}" then return out, i + 1 end
    i = skip(s, i + 1)
  end
end
parse_value = function(s, i)
  local c = s:sub(i, i)
  if c == "{" then return parse_object(s, i) elseif c == "[" then return parse_array(s, i) elseif c == '"' then return parse_string(s, i) end
  local word, stop = s:match("^(%a+)()", i)
  if word == "true" then return true, stop elseif word == "false" then return false, stop elseif word == "null" then return nil, stop end
  local num, after = s:match("^(-?%d+%.?%d*[eE]?[-+]?%d*)()", i)
  if num then return tonumber(num), after end
  error("unexpected " .. c)
end
function run(input) local v = parse_value(input.text or '{"a": [1, 2, {"b": "c"}]}', 1) return {v = v} end
----
-- Counters by default metatable, rawget/rawset/rawlen/rawequal.
local mt = {__index = function(t, k) local v = {} rawset(t, k, v) return v end}
function run(input) local t = setmetatable({}, mt) t.a.b = 1 t[1] = 2 return {rawget(t, "a").b, rawlen(t), rawequal(t, t), next({}) == nil, input.x} end
----
-- Number parsing.
function run(input) local n = tonumber(input.s or "ff", 16) local i = math.tointeger(n) return {n, i, tostring(n), n and n | 0, 10 // 3, 10 / 2, 3 | 4, 2 ^ 10, 7 // 2.0, -7 % 3, 1e15, 0x7fffffffffffffff, math.maxinteger + 1 == math.mininteger} end
----
-- Binary packing.
function run(input) local s = string.pack("<i4s2", 7, "abc") local n, t, pos = string.unpack("<i4s2", s) return {n, t, pos, string.packsize("i4"), input.x} end
----
-- Sparse, holes, length.
function run(input) local t = {1, 2, nil, 4, n = 4} local c = 0 for i = 1, t.n do if t[i] == nil then c = c + 1 end end return {c, select("#", table.unpack(t, 1, t.n)), input.x} end
----
-- Closures as objects.
local function account(balance) local self = {} function self.deposit(n) balance = balance + n return self end function self.balance() return balance end return self end
function run(input) local a = account(1) return {a.deposit(2).deposit(3).balance(), input.x} end
----
-- Mixins and multiple inheritance.
local function search(k, parents) for i = 1, #parents do local v = parents[i][k] if v ~= nil then return v end end end
local function create(...) local parents = {...} local c = {} setmetatable(c, {__index = function(_, k) return search(k, parents) end}) c.__index = c function c:new(o) o = o or {} setmetatable(o, c) return o end return c end
local Named = {} function Named:getname() return self.name end function Named:setname(n) self.name = n end
local Acc = {balance = 0} function Acc:deposit(v) self.balance = self.balance + v end
function run(input) local NA = create(Acc, Named) local a = NA:new({name = "Paul"}) a:deposit(3) a:setname("P") return {a:getname(), a.balance, input.x} end
----
-- Static and private by naming.
local Point = {} Point.__index = Point Point.count = 0
local function validate(n) if type(n) ~= "number" then error("not a number: " .. type(n), 3) end end
function Point.new(x, y) validate(x) validate(y) Point.count = Point.count + 1 return setmetatable({x = x, y = y}, Point) end
Point.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Point.__lt = function(a, b) return a.x < b.x end
Point.__close = function() end
Point.__name = "Point"
function run(input) return {Point.new(1, 2) == Point.new(1, 2), Point.count, Point.new(1, 2) < Point.new(2, 2), input.x} end
----
-- Ternary tables, numeric keys.
function run(input) local lookup = ({[true] = "yes", [false] = "no"})[input.x == nil] local days = {"Mon", "Tue", [0] = "Sun"} return {lookup, days[0], #days, days[input.d or 1]} end
----
-- String buffers with repeat and rep separators.
function run(input) return {("="):rep(10), ("ab"):rep(3, "-"), ("x"):byte(1, -1), string.char(72, 105), ("%s"):rep(3, " "):format(1, 2, 3), ("abc"):gsub("", "-"), ("a,b"):gsub(",", {[","] = ";"}), input.x} end
----
-- Balanced matches, frontier, anchors, captures positions.
function run(input) local s = "THE (quick) fox" return {s:match("%b()"), s:find("%f[%a]%a+%f[%A]"), s:match("^(%u+)()"), s:gsub("%w+", "%0 %0", 1), ("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("[[x]]"):gsub("[%[%]]", ""), input.x} end
----
-- Xml-ish builder with varargs.
local function tag(name, attrs, ...) local a = {} for k, v in pairs(attrs or {}) do a[#a + 1] = (' %s="%s"'):format(k, v) end table.sort(a) local inner = table.concat({...}) return "<" .. name .. table.concat(a) .. (inner == "" and "/>" or ">" .. inner .. "</" .. name .. ">") end
function run(input) return {html = tag("ul", nil, tag("li", {class = "x"}, "one"), tag("br")), x = input.x} end
----
-- Numeric for negative, float, big steps, loop var capture.
function run(input) local fs, s = {}, 0 for i = 3, 1, -1 do fs[#fs + 1] = function() return i end end for i = 0, 1, 0.5 do s = s + i end for i = math.maxinteger - 1, math.maxinteger do s = s + (i - i) end for i = 10, 1 do s = i end return {fs[1](), s, input.x} end
----
-- Sort stability / multiple keys / nil-safe comparators.
local function by(...) local keys = {...} return function(a, b) for _, k in ipairs(keys) do local x, y = a[k], b[k] if x ~= y then if x == nil then return false end if y == nil then return true end return x < y end end return false end end
function run(input) local rows = {{a = 2, b = 1}, {a = 1, b = 2}, {b = 0}} table.sort(rows, by("a", "b")) return {rows[1].a, input.x} end
----
-- Event schedule with heap of closures & local recursion upvalue.
function run(input)
  local events, log, now = {}, {}, 0
  local function at(t, f) events[#events + 1] = {t = t, f = f} table.sort(events, function(a, b) return a.t < b.t end) end
  local function tick() log[#log + 1] = now if now < 3 then at(now + 1, tick) end end
  at(0, tick)
  while #events > 0 do local e = table.remove(events, 1) now = e.t e.f() end
  return {log = log, x = input.x}
end
----
-- Chunked text with %s and line iteration, no final newline.
function run(input) local n, longest = 0, "" for line in (input.text or "a\nbb\n"):gmatch("[^\n]*") do n = n + 1 if #line > #longest then longest = line end end return {n = n, longest = longest} end
----
-- Currency by cents.
local function cents(s) local neg, w, f = s:match("^(-?)(%d+)%.?(%d*)$") if not w then return nil end local v = tonumber(w) * 100 + tonumber((f .. "00"):sub(1, 2)) return neg == "-" and -v or v end
local function money(c) return ("%s%d.%02d"):format(c < 0 and "-" or "", math.abs(c) // 100, math.abs(c) % 100) end
function run(input) local c = cents(input.amount or "-12.5") if c == nil then fail("bad_amount", "no amount: " .. tostring(input.amount)) end return {text = money(c)} end
----
-- And/or as statements via calls, nested pcalls.
local function try(f, catch, finally) local ok, e = pcall(f) if not ok and catch then catch(e) end if finally then finally() end return ok end
function run(input) local log = {} try(function() error("x") end, function(e) log[#log + 1] = tostring(e) end, function() log[#log + 1] = "done" end) return {#log, input.x} end
----
-- Typed checks via tables of predicates.
local is = {string = function(v) return type(v) == "string" end, positive = function(v) return type(v) == "number" and v > 0 end}
is.text = is.string
local schema = {name = is.text, age = is.positive}
function run(input) local bad = {} for k, check in pairs(schema) do if not check(input[k]) then bad[#bad + 1] = k end end table.sort(bad) if #bad > 0 then fail("invalid", table.concat(bad, ", ")) end return {ok = true} end
----
-- Bit flags, masks.
local FLAGS = {READ = 1 << 0, WRITE = 1 << 1, EXEC = 1 << 2}
local function has(m, f) return m & f ~= 0 end
function run(input) local m = FLAGS.READ | FLAGS.EXEC m = m & ~FLAGS.READ m = m ~ FLAGS.WRITE return {has(m, FLAGS.WRITE), has(m, FLAGS.READ), input.x} end
----
-- To-be-closed and const.
local function scope(log, name) return setmetatable({}, {__close = function() log[#log + 1] = name end}) end
function run(input) local log = {} do local a <close> = scope(log, "a") local b <close> = scope(log, "b") local limit <const> = 2 log[#log + 1] = limit end return {log, input.x} end
----
-- Local functions defined conditionally.
local unpack = table.unpack or unpack
local pow = math.pow or function(a, b) return a ^ b end
local getn = table.getn or function(t) return #t end
function run(input) return {unpack({1}), pow(2, 3), getn({1, 2}), input.x} end
----
-- Run assigned in other ways.
local M = {}
function M.main(input, context) return {input.x, context and context.now} end
run = M.main
----
-- Run as an expression.
run = function(input, _) return {x = input.x} end
----
-- Run made by a factory.
local function make(prefix) return function(input) return {text = prefix .. tostring(input.x)} end end
run = make("p")
----
-- Run wrapping another.
local function main(input) return {x = input.x} end
function run(input, context) local ok, r = pcall(main, input, context) if ok then return r end fail("broken", tostring(r)) end
----
-- Run with varargs.
function run(...) local input, context = ... return {input.x, context and 1} end
----
-- Variable never read but closed, loop without body.
function run(input) for _ in pairs({}) do end while false do end for _ = 1, 0 do end if input.x then end do end return {} end
----
-- Unused results to force evaluation.
function run(input) local _ = input.x local _a, _b = 1, 2 return {y = 1} end
----
-- Long elseif.
function run(input)
  local m = input.m or 3
  local season
  if m <= 2 or m == 12 then season = "winter" elseif m <= 5 then season = "spring" elseif m <= 8 then season = "summer" else season = "autumn" end
  return {season = season}
end
----
-- Ends by calling local function always failing.
local function bail(code) fail(code, "bail") end
local function bail2(x) bail("b" .. x) end
function run(input) if input.a then return {} elseif input.b then bail("b") else bail2("c") end end
----
-- Numeric for returning inside with error after.
function run(input) for i = 1, 3 do if i == (input.n or 2) then return {i = i} end end error("not found") end
----
-- Names that look like other things.
local string_, math_, type_ = "s", 1, "t"
local tostring_ = tostring
local function self_(x) return x end
local record = {["end"] = 1, ["function"] = 2, ["nil"] = 3, type = "x", next = 1, string = "s"}
function run(input) return {string_, math_, type_, tostring_(1), self_(2), record["end"], record.type, record.next, record.string, input.type} end
----
-- Local named like a library.
function run(input)
  local string, table, type = "s", {1}, input.type
  return {string, table, type}
end
----
-- Parameter named like a library.
local function show(string, table) return string .. #table end
function run(input) return {show("a", {1, 2}), input.x} end
----
-- Method calls on values from tables and results.
local Node = {} Node.__index = Node
function Node.new(v) return setmetatable({v = v, kids = {}}, Node) end
function Node:add(v) local n = Node.new(v) self.kids[#self.kids + 1] = n return n end
function Node:walk(f, depth) depth = depth or 0 f(self, depth) for _, k in ipairs(self.kids) do k:walk(f, depth + 1) end end
function run(input) local root = Node.new("r") root:add("a"):add("b") root.kids[1]:add("c") local out = {} root:walk(function(n, d) out[#out + 1] = ("  "):rep(d) .. n.v end) return {out, input.x} end
----
-- Strings as objects via # and .. of numbers.
function run(input) local n = 5 return {#tostring(n), n .. "", ("x" .. n):upper(), (n .. n):len(), tostring(n):rep(2), input.x} end
----
-- Input pieces copied then changed.
function run(input)
  local copy = {}
  for k, v in pairs(input) do copy[k] = v end
  copy.done = true
  local items = {table.unpack(input.items or {})}
  table.sort(items) items[#items + 1] = 1
  local moved = table.move(input.items or {}, 1, #(input.items or {}), 1, {})
  moved[1] = 0
  local first = (input.items or {})[1]
  first = first or 0
  return {copy, items, moved, first}
end
----
-- Input fields to locals reassigned.
function run(input)
  local n, list = input.n, input.list
  n = (n or 0) + 1
  list = list or {}
  return {n, list}
end
----
-- A new table named as a part of input.
function run(input)
  local order = {id = input.id, lines = {}}
  order.total = 0
  for i, l in ipairs(input.lines or {}) do order.lines[i] = {sum = l.sum} order.lines[i].sum = l.sum * 2 order.total = order.total + l.sum end
  return order
end
----
-- Loop variable copies written.
function run(input)
  local out = {}
  for i, line in ipairs(input.lines or {}) do
    local row = {name = line.name}
    row.index = i
    out[i] = row
  end
  return out
end
----
-- Json library.
function run(input)
  local text = json.encode({a = 1, list = json.array({}), none = json.null, obj = json.object({})})
  local back = json.decode(text)
  return {back.a, back.none == json.null, input.x}
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "store.put": {"namespaces": ["orders"]}}}
local function load_order(id)
  local found = store.get{namespace = "orders", key = id}
  if found.version == 0 then fail("not_found", "no order " .. id) end
  return found.value, found.version
end
local function save(id, order, version) return store.put{namespace = "orders", key = id, value = order, if_version = version} end
function run(input)
  local order, version = load_order(input.id)
  local copy = {}
  for k, v in pairs(order) do copy[k] = v end
  copy.status = "done"
  save(input.id, copy, version)
  return copy
end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}}}
local Repo = {} Repo.__index = Repo
function Repo:find(key) return store.get({namespace = self.namespace, key = key}).value end
function run(input) return {Repo.find({namespace = "orders"}, input.id), setmetatable({namespace = "orders"}, Repo):find(input.id)} end
----
--: {"grants": {"store.get": {"namespaces": ["orders"]}, "log.info": {}}}
function run(input)
  local ok, found = pcall(store.get, {namespace = "orders", key = input.id})
  if not ok then
    log.info{message = "failed: " .. tostring(found.code)}
    if found.retryable then error(found) end
    fail(found.code or "unavailable", found.message)
  end
  return {found.value}
end
----
-- Codes in a table, fail with variables.
local CODES = {missing = "missing_field", bad = "bad_field"}
function run(input) if not input.a then fail(CODES.missing, ("%s is missing"):format("a")) end if type(input.a) ~= "number" then return fail(CODES.bad, "a must be a number", {details = {found = type(input.a)}, retryable = false}) end return {a = input.a} end
----
-- Run ends with return fail.
function run(input) if input.a then return {1} end return fail("no") end
----
-- Context use.
function run(input, context) return {now = context.now, key = context.idempotency_key, n = context.attempt, id = context.run_id, node = context.node, x = input.x} end
----
-- Unused context and input.
function run(_, _context) return {x = 1} end
----
-- Local constants named in capitals, unit conversions.
local KM_PER_MILE <const> = 1.609344
local UNITS = {km = 1, mi = KM_PER_MILE, m = 1 / 1000}
function run(input) local from, to = UNITS[input.from or "km"], UNITS[input.to or "mi"] if not (from and to) then fail("unknown_unit") end return {value = (input.value or 1) * from / to} end
----
-- Loops over input, building nested results.
function run(input)
  local index, order = {}, {}
  for position, row in ipairs(input.rows or {}) do
    local bucket = index[row.kind]
    if bucket == nil then bucket = {kind = row.kind, rows = {}} index[row.kind] = bucket order[#order + 1] = bucket end
    bucket.rows[#bucket.rows + 1] = {position = position, name = row.name}
    bucket.last = row.name
  end
  return {groups = order}
end
----
--: {"input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}, "additionalProperties": false}}
-- Method call with dynamic self and colon chain on input strings.
function run(input) local t = input.text return {t:upper():sub(1, 3), input.text:len(), #input.text, (input.text .. "x"):rep(2), t:find("a", 1, true), ("%s"):format(t)} end
----
--: {"input": {"type": "object", "properties": {"n": {"type": "integer"}, "opt": {"type": "object", "properties": {"deep": {"type": "number"}}, "additionalProperties": false}}, "additionalProperties": false}}
-- Optional property of a closed schema.
function run(input) local o = input.opt or {} return {n = (input.n or 0) + (o.deep or 0), d = input.opt and input.opt.deep} end
----
--: {"input": {"type": "object", "required": ["on"], "properties": {"on": {"type": "boolean"}}}}
-- Boolean exhaustive.
function run(input)
  if input.on == true then return {1} end
  if input.on == false then return {0} end
end
----
-- Not / plain exhaustive.
function run(input)
  local ready = input.a and input.b
  if ready then return {1} end
  if not ready then return {2} end
end
----
-- Comparisons exhaustive.
function run(input)
  local n = input.n or 0
  if n < 10 then return {"low"} elseif n >= 10 then return {"high"} end
end
----
-- While loop with return in all branches then end.
function run(input) local n = input.n or 3 while n > 0 do n = n - 1 if n == 1 then return {n} end end return {0} end
----
-- Errors through assert in the tail.
function run(input) if input.a then return {1} end assert(false, "no a") end
----
-- Raise methods with class.
local E = {} E.__index = E E.__tostring = function(e) return e.code end
function E.throw(code) error(setmetatable({code = code}, E), 0) end
local function parse(s) local n = tonumber(s) if n then return n end E.throw("nan") end
function run(input) local ok, e = pcall(parse, input.s) if ok then return {e} end fail(e.code) end
----
-- Two classes, one raises under the same name.
local A, B = {}, {}
function A.stop() error("a") end
function B.stop() return 1 end
function run(input) B.stop() local n = input.n or 1 A.stop() return {n} end
----
-- Field functions replaced later.
local hooks = {done = function() error("not set") end}
function hooks.set(f) hooks.done = f end
function run(input) hooks.set(function(x) return x end) hooks.done(1) local y = input.y return {y or 1} end
----
-- Override by parameter.
local log = {fatal = function(m) error(m) end}
local function use(logger) logger.fatal("x") return 1 end
function run(input) return {pcall(use, log), pcall(use, {fatal = function() end}), input.x} end
----
-- List comprehension style helper with varargs.
local function zip(...) local lists, out = {...}, {} for i = 1, #lists[1] do local row = {} for j, l in ipairs(lists) do row[j] = l[i] end out[i] = row end return out end
function run(input) return {zip({1, 2}, {"a", "b"}), input.x} end
----
-- Swap keys, invert, defaults.
local function invert(t) local r = {} for k, v in pairs(t) do r[v] = k end return r end
local function defaults(t, d) t = t or {} local r = {} for k, v in pairs(d) do r[k] = v end for k, v in pairs(t) do r[k] = v end return r end
function run(input) return {invert({a = "b"}), defaults(input.options, {size = 1})} end
----
-- Helper that changes its own table given as parameter; input only read.
local function add(list, x) list[#list + 1] = x return list end
local function put(t, k, v) t[k] = v end
function run(input) local out = {} add(out, input.x or 1) put(out, 2, input.y or 2) return out end
----
-- Recursion with accumulator parameter defaults.
local function flatten(v, out) out = out or {} if type(v) == "table" then for _, e in ipairs(v) do flatten(e, out) end else out[#out + 1] = v end return out end
function run(input) return {flatten(input.list or {1, {2, {3}}})} end
----
-- Same with seen tables and key prefix.
local function flat(t, prefix, out) prefix, out = prefix or "", out or {} for k, v in pairs(t) do local key = prefix == "" and k or prefix .. "." .. k if type(v) == "table" then flat(v, key, out) else out[key] = v end end return out end
function run(input) return flat(input) end
----
-- Functions stored by string keys and called by computed name.
local ops = {} ops["+"] = function(a, b) return a + b end ops["-"] = function(a, b) return a - b end
local function rpn(s) local st = {} for tok in s:gmatch("%S+") do local op = ops[tok] if op then local b, a = table.remove(st), table.remove(st) st[#st + 1] = op(a, b) else st[#st + 1] = tonumber(tok) end end return st[1] end
function run(input) return {rpn(input.s or "1 2 + 3 -")} end
----
-- Loops that only break via error-returning parser.
local function read(s) local pos = 1 return function() if pos > #s then return nil end local c = s:sub(pos, pos) pos = pos + 1 return c end end
function run(input) local nextc, out = read(input.s or "ab"), {} while true do local c = nextc() if not c then break end out[#out + 1] = c end return {out} end
----
-- While with assignments in both branches, sentinel.
function run(input) local more, n = true, 0 while more do n = n + 1 more = n < (input.n or 3) end return {n} end
----
-- Local recursive table function through self.
local V = {children = {}, visit = function(self, f) f(self) for _, c in ipairs(self.children) do c:visit(f) end end}
function run(input) local n = 0 V:visit(function() n = n + 1 end) return {n, input.x} end
----
-- Metamethods __call, __unm, __len, __concat, __mod, __shl, __eq as functions of the same table.
local N = {} N.__index = N
N.__call = function(self, x) return self.n + x end N.__unm = function(a) return -a.n end N.__len = function(a) return a.n end N.__mod = function(a, b) return a.n % b end N.__shl = function(a, b) return a.n << b end N.__band = function(a, b) return a.n & b end N.__pow = function(a, b) return a.n ^ b end N.__div = function(a, b) return a.n / b end
function run(input) local v = setmetatable({n = 6}, N) return {v(1), -v, #v, v % 4, v << 1, v & 3, v ^ 2, v / 2, input.x} end
----
-- Text wrapping.
local function wrap(s, w) local lines, line = {}, "" for word in s:gmatch("%S+") do if #line + #word + 1 > w and line ~= "" then lines[#lines + 1] = line line = word else line = line == "" and word or line .. " " .. word end end if line ~= "" then lines[#lines + 1] = line end return lines end
function run(input) return {wrap(input.text or "the quick brown fox", 10)} end
----
-- Semver compare.
local function ver(s) local a, b, c = s:match("^(%d+)%.(%d+)%.(%d+)$") return {tonumber(a), tonumber(b), tonumber(c)} end
local function cmp(x, y) for i = 1, 3 do if x[i] ~= y[i] then return x[i] < y[i] and -1 or 1 end end return 0 end
function run(input) return {cmp(ver(input.a or "1.2.3"), ver(input.b or "1.3.0"))} end
----
-- Iso week / zeller with integer division.
local function dow(y, m, d) local t = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4} if m < 3 then y = y - 1 end return (y + y // 4 - y // 100 + y // 400 + t[m] + d) % 7 end
function run(input) return {dow(input.y or 2026, 11, 21)} end
----
-- Priority: and/or without parentheses, long conditions over lines.
function run(input)
  local a, b = input.a, input.b
  if a ~= nil
    and b ~= nil
    and (type(a) == "number" or type(a) == "string")
    and not (a == b)
  then
    return {ok = true}
  end
  return {ok = false}
end
----
-- Caching on function table / once.
local once do local done, value = false, nil function once(f, ...) if not done then value, done = f(...), true end return value end end
function run(input) return {once(function(x) return x end, input.x or 1), once(function() return 2 end)} end
----
-- Block scoping with do ... local function.
local api do
  local secret = 42
  local function reveal() return secret end
  api = {reveal = reveal, hide = function(x) secret = x end}
end
function run(input) api.hide(input.x or 1) return {api.reveal()} end
----
-- Pcall results in one go.
function run(input)
  local result = {pcall(function(...) return select("#", ...), ... end, 1, nil, 3)}
  local status = table.remove(result, 1)
  local values = (function(ok, ...) return {n = select("#", ...), ok = ok} end)(pcall(string.rep, "x", 3))
  return {status, values.n, input.x}
end
----
-- Coroutine based scheduler, status checks, wrap inside for.
local function tasks(...) local list = {...} local out = {} while #list > 0 do for i = #list, 1, -1 do local ok, v = coroutine.resume(list[i]) if not ok then error(v) end if coroutine.status(list[i]) == "dead" then table.remove(list, i) else out[#out + 1] = v end end end return out end
function run(input) local function t(n) return coroutine.create(function() for i = 1, n do coroutine.yield(i) end end) end return {tasks(t(2), t(1)), coroutine.isyieldable(), input.x} end
----
-- Numeric strings & coercions.
function run(input) return {"10" + 5, "3" * "4", 10 .. "", -"2", "0x10" + 0, math.type("1" + 1), tostring(1e100), 2^53 | 0, input.x} end
----
-- Comment styles ---.
--- doc comment
-- @param input table
--[[ block ]] function run(input) --[=[ inner ]=] return { --[[a]] x = --[[b]] input.x } end --eof
----
-- Functions with many params and default nil.
local function box(w, h, d, unit, label) return {v = w * (h or 1) * (d or 1), unit = unit or "cm", label = label} end
function run(input) return {box(1), box(1, 2), box(1, 2, 3, "m", input.label)} end
----
-- Unused function parameters in interface.
local handlers = {on_open = function(self, name, mode) return name end, on_close = function(_, code) return code end}
function run(input) return {handlers:on_open("x", "r"), handlers:on_close(1), input.x} end
----
-- Shadow names of builtins in params/loops.
local function f(next, type, select) return next, type, select end
function run(input) local out = {} for next, string in pairs({a = 1}) do out[next] = string end return {f(1, 2, 3), out, input.x} end
----
-- Metatable on varargs table; __index = rawget style.
local function rec(fields) local mt = {__index = function(_, k) error("no field '" .. tostring(k) .. "'", 2) end} return function(t) for _, f in ipairs(fields) do if t[f] == nil then t[f] = json.null end end return setmetatable(t, mt) end end
function run(input) local R = rec({"a", "b"}) local ok = pcall(function() return R({a = 1}).zzz end) return {ok, R({a = input.x or 1}).a} end
----
-- Time parse from context.now.
function run(_, context) local y, m, d = context.now:match("^(%d+)-?(%d*)-?(%d*)") return {y, m, d} end
----
-- Utf8-safe truncate.
local function cut(s, n) if utf8.len(s) <= n then return s end return s:sub(1, utf8.offset(s, n + 1) - 1) .. "…" end
function run(input) return {cut(input.s or "grüße", 3)} end
----
-- Topological sort with visited states and error.
local function topo(g) local out, state = {}, {} local function visit(n) if state[n] == "done" then return end if state[n] == "open" then error("cycle at " .. n) end state[n] = "open" for _, m in ipairs(g[n] or {}) do visit(m) end state[n] = "done" out[#out + 1] = n end local names = {} for n in pairs(g) do names[#names + 1] = n end table.sort(names) for _, n in ipairs(names) do visit(n) end return out end
function run(input) return {topo(input.graph or {a = {"b"}, b = {}})} end
----
-- Union find.
local function uf(n) local p, r = {}, {} for i = 1, n do p[i], r[i] = i, 0 end local function find(x) while p[x] ~= x do p[x] = p[p[x]] x = p[x] end return x end return find, function(a, b) a, b = find(a), find(b) if a == b then return false end if r[a] < r[b] then a, b = b, a end p[b] = a if r[a] == r[b] then r[a] = r[a] + 1 end return true end end
function run(input) local find, union = uf(4) union(1, 2) union(3, 4) return {find(2) == find(1), find(1) == find(3), input.x} end
----
-- Trie.
local Trie = {} Trie.__index = Trie
function Trie.new() return setmetatable({root = {}}, Trie) end
function Trie:insert(word) local node = self.root for c in word:gmatch(".") do node[c] = node[c] or {} node = node[c] end node.stop = true return self end
function Trie:find(prefix) local node = self.root for c in prefix:gmatch(".") do node = node[c] if not node then return nil end end return node end
function run(input) local t = Trie.new():insert("car"):insert("cat") return {t:find("ca") ~= nil, t:find("x") == nil, input.x} end
----
-- Knapsack, 2d arrays, math.max with unpack.
function run(input)
  local items, cap = input.items or {{w = 1, v = 2}, {w = 2, v = 3}}, input.cap or 3
  local best = {}
  for c = 0, cap do best[c] = 0 end
  for _, it in ipairs(items) do for c = cap, it.w, -1 do best[c] = math.max(best[c], best[c - it.w] + it.v) end end
  return {best = best[cap], top = math.max(table.unpack({1, 5, 3}))}
end
