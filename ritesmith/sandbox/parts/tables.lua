-- The table library with its work paid for, a stable sort, and `next` and `pairs` in one fixed order.
--
-- C loops of the reference are used where nothing of the script can run inside them and their length is known; where
-- a metatable is in play the loop is written out, so that the count hook sees it.

local core = ...
local charge, bad_argument, expected, library_error = core.charge, core.bad_argument, core.expected, core.library_error
local integer_argument, getmetatable, finish = core.integer_argument, core.getmetatable, core.finish
local type, select, rawget, rawlen = core.type, core.select, core.rawget, core.rawlen
local raw_next, raw_pcall = core.next, core.pcall
local raw_concat, raw_move, raw_sort = core.table.concat, core.table.move, core.table.sort
local raw_unpack, raw_create = core.table.unpack, core.table.create
local math_type, tointeger, ult, maxinteger = core.math.type, core.math.tointeger, core.math.ult, core.math.maxinteger
local find, match = core.string.find, core.string.match

-- ---------------------------------------------------------------- insert, remove, move, concat, unpack, create

local library = { pack = core.table.pack }

local function length(object)
  local n = #object
  if math_type(n) ~= "integer" then library_error("object length is not an integer") end
  return n
end

-- Elements up or down by one: from `first` to `last`, to begin at `to`.
local function shift(object, first, last, to)
  if first > last then return end
  if not getmetatable(object) then
    charge((last - first) >> 1)
    raw_move(object, first, last, to)
  elseif to > first then
    for i = last, first, -1 do object[i + (to - first)] = object[i] end
  else
    for i = first, last do object[i - (first - to)] = object[i] end
  end
end

function library.insert(object, ...)
  if type(object) ~= "table" then expected(1, "insert", "table", object) end
  local count = select("#", ...)
  if count == 1 then
    object[length(object) + 1] = (...)
  elseif count == 2 then
    local position, value = ...
    local last = length(object) + 1
    position = integer_argument(position, 2, "insert")
    if not ult(position - 1, last) then bad_argument(2, "insert", "position out of bounds") end
    shift(object, position, last - 1, position + 1)
    object[position] = value
  else
    library_error("wrong number of arguments to 'insert'")
  end
end

function library.remove(object, position)
  if type(object) ~= "table" then expected(1, "remove", "table", object) end
  local size = length(object)
  position = integer_argument(position, 2, "remove", size)
  if position ~= size and ult(size, position - 1) then bad_argument(2, "remove", "position out of bounds") end
  local value = object[position]
  if position < size then
    shift(object, position + 1, size, position)
    position = size
  end
  object[position] = nil
  return value
end

function library.move(from, first, last, to, into)
  if type(from) ~= "table" then expected(1, "move", "table", from) end
  first = integer_argument(first, 2, "move")
  last = integer_argument(last, 3, "move")
  to = integer_argument(to, 4, "move")
  local target = into
  if target == nil then target = from end
  if type(target) ~= "table" then expected(5, "move", "table", target) end
  if last >= first then
    if not (first > 0 or last < maxinteger + first) then bad_argument(3, "move", "too many elements to move") end
    local count = last - first + 1
    if not (to <= maxinteger - count + 1) then bad_argument(4, "move", "destination wrap around") end
    if not getmetatable(from) and not getmetatable(target) then
      charge(count < 1 << 40 and count or 1 << 40)
      raw_move(from, first, last, to, target)
    elseif to > last or to <= first or (into ~= nil and from ~= target) then
      for i = 0, count - 1 do target[to + i] = from[first + i] end
    else
      for i = count - 1, 0, -1 do target[to + i] = from[first + i] end
    end
  end
  return target
end

-- Pay for the items of a range that lie outside of the list's length; those of no length leave no bytes to pay for.
local function charge_range(ok, text, size, first, last)
  if not ok then
    last = type(text) == "string" and match(text, "at index (-?%d+)")
    if not last then return end
  end
  local count = tointeger(last) - tointeger(first or 1) + 1
  if count > size and count > 8 then charge(count - size) end
end

-- The texts and numbers of a list, with not a number as we spell it; nil where the machine need not spell one.
local function without_nan(list, first, last)
  local spelled
  for i = first, last do
    local value = rawget(list, i)
    if type(value) == "number" and value ~= value then
      spelled = spelled or raw_move(list, first, last, first, {})
      spelled[i] = "nan"
    end
  end
  return spelled
end

function library.concat(object, separator, first, last)
  if type(object) ~= "table" then expected(1, "concat", "table", object) end
  if type(separator) == "number" then separator = core.string_argument(separator, 2, "concat") end
  if not getmetatable(object) then
    local size = rawlen(object)
    if size > 8 then charge(size) end
    local ok, text = raw_pcall(raw_concat, object, separator, first, last)
    if first ~= nil or last ~= nil then charge_range(ok, text, size, first, last or size) end
    text = finish("concat", ok, text)
    if #text > 64 then charge(#text >> 5) end
    if find(text, "nan", 1, true) then
      local spelled = without_nan(object, tointeger(first or 1), tointeger(last or size))
      if spelled then return finish("concat", raw_pcall(raw_concat, spelled, separator, first, last)) end
    end
    return text
  end
  if separator == nil then separator = "" else separator = core.string_argument(separator, 2, "concat") end
  first = integer_argument(first, 3, "concat", 1)
  if last == nil then last = length(object) else last = integer_argument(last, 4, "concat") end
  local pieces, count = {}, 0
  for i = first, last do
    local value = object[i]
    if type(value) ~= "string" and type(value) ~= "number" then
      library_error("invalid value (" .. core.type_name(value) .. ") at index " .. core.raw_tostring(i)
        .. " in table for 'concat'")
    end
    count = count + 1
    pieces[count] = value == value and value or "nan"
  end
  local text = finish("concat", raw_pcall(raw_concat, pieces, separator))
  charge(#text >> 5)
  return text
end

function library.unpack(object, first, last)
  if type(object) ~= "table" then expected(1, "unpack", "table", object) end
  if first == nil then first = 1 else first = integer_argument(first, 2, "unpack") end
  if last == nil then last = length(object) else last = integer_argument(last, 3, "unpack") end
  local count = last - first
  if first <= last and (count < 0 or count >= 100) then
    if count < 0 or count >= 1000000 then library_error("too many results to unpack") end
    charge(count)
    if not getmetatable(object) then return finish("unpack", raw_pcall(raw_unpack, object, first, last)) end
  end
  if getmetatable(object) then
    -- Read here, where an __index of the script may wait for a host call.
    local list = {}
    for i = 0, count do list[i + 1] = object[first + i] end
    return raw_unpack(list, 1, count + 1)
  end
  return raw_unpack(object, first, last)
end

function library.create(count, others)
  count = integer_argument(count, 1, "create")
  others = integer_argument(others, 2, "create", 0)
  if count > 0 and count < 1 << 40 then charge(count >> 4) end
  -- Each place of a hash is made empty by itself.
  if others > 0 and others < 1 << 40 then charge(others >> 1) end
  return finish("create", raw_pcall(raw_create, count, others))
end

-- ---------------------------------------------------------------- sort

-- Sorted runs this long are made by insertion before they are merged.
local RUN = 6

-- A stable merge sort. The reference picks pivots by the clock, so that ties come out differently each time.
local function merge_sort(list, n, less)
  for low = 1, n, RUN do
    local high = low + RUN - 1
    if high > n then high = n end
    for i = low + 1, high do
      local value, j = list[i], i - 1
      while j >= low and less(value, list[j]) do
        list[j + 1] = list[j]
        j = j - 1
      end
      list[j + 1] = value
    end
  end
  local width, source, target = RUN, list, {}
  while width < n do
    for low = 1, n, 2 * width do
      local middle, high = low + width, low + 2 * width
      if middle > n + 1 then middle = n + 1 end
      if high > n + 1 then high = n + 1 end
      local i, j = low, middle
      if j >= high or not less(source[j], source[j - 1]) then
        for k = low, high - 1 do target[k] = source[k] end
      else
        local k = low
        while i < middle and j < high do
          if less(source[j], source[i]) then
            target[k] = source[j]
            j = j + 1
          else
            target[k] = source[i]
            i = i + 1
          end
          k = k + 1
        end
        for m = i, middle - 1 do
          target[k] = source[m]
          k = k + 1
        end
        for m = j, high - 1 do
          target[k] = source[m]
          k = k + 1
        end
      end
    end
    source, target = target, source
    width = width * 2
  end
  return source
end

local function less_than(a, b) return a < b end

-- log2, rounded up
local function log2(n)
  local bits = 0
  while n > 0 do
    n = n >> 1
    bits = bits + 1
  end
  return bits
end

-- All integers or all strings: equal ones are the same, so that it does not matter who sorts them.
local function sort_plain(list, n)
  local kind = math_type(list[1]) or type(list[1])
  if kind == "integer" then
    for i = 2, n do
      if math_type(list[i]) ~= "integer" then return false end
    end
    charge(n * log2(n))
  elseif kind == "string" then
    local bytes = 0
    for i = 1, n do
      if type(list[i]) ~= "string" then return false end
      bytes = bytes + #list[i]
    end
    charge((n + (bytes >> 4)) * log2(n))
  else
    return false
  end
  raw_sort(list)
  return true
end

function library.sort(object, less)
  if type(object) ~= "table" then expected(1, "sort", "table", object) end
  local n = length(object)
  if n < 2 then return end
  if n >= 2147483647 then bad_argument(1, "sort", "array too big") end
  if less ~= nil and type(less) ~= "function" then expected(2, "sort", "function", less) end
  if not less and not getmetatable(object) and sort_plain(object, n) then return end
  local list = {}
  for i = 1, n do list[i] = object[i] end
  list = merge_sort(list, n, less or less_than)
  for i = 1, n do object[i] = list[i] end
end

-- ---------------------------------------------------------------- next, pairs

local RANK = { number = 1, string = 2, boolean = 3 }

local function refuse_objects()
  library_error("a table with several keys that are tables, functions or coroutines has no fixed order; "
    .. "keep a list of them beside it and go through the list")
end

-- The order of keys: numbers, then texts by their bytes, then false and true, then a single object.
local function before(a, b)
  local rank_a, rank_b = RANK[type(a)] or 4, RANK[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a == 3 then return b and not a end
  if rank_a == 4 then return false end
  return a < b
end

-- All keys in order.
local function ordered_keys(object)
  local keys, n, kind, objects = {}, 0, nil, 0
  for key in raw_next, object do
    n = n + 1
    keys[n] = key
    local its = type(key)
    if its ~= kind then kind = kind == nil and its or false end
    if not RANK[its] then objects = objects + 1 end
  end
  if objects > 1 then refuse_objects() end
  if kind == "string" or kind == "number" then
    charge(n)
    raw_sort(keys)
    return keys, n
  end
  return merge_sort(keys, n, before), n
end

-- What is left of a traversal by `next`: table -> its keys, and key -> place.
local traversals = core.setmetatable({}, { __mode = "k" })

local function ordered_next(object, key)
  if type(object) ~= "table" then expected(1, "next", "table", object) end
  if key == nil then
    local first = raw_next(object)
    if first == nil then return nil end
    if raw_next(object, first) == nil then return first, rawget(object, first) end
    local objects = 0
    for other in raw_next, object do
      if not RANK[type(other)] then objects = objects + 1 end
      if before(other, first) then first = other end
    end
    if objects > 1 then refuse_objects() end
    traversals[object] = nil
    return first, rawget(object, first)
  end
  local known = traversals[object]
  local place = known and known.place[key]
  if not place then
    known = { place = {} }
    local n
    known.keys, n = ordered_keys(object)
    known.n = n
    for i = 1, n do known.place[known.keys[i]] = i end
    place = known.place[key]
    if not place then
      -- Removed since: go on behind where it was.
      place = 0
      while place < n and not before(key, known.keys[place + 1]) do place = place + 1 end
      known.place[key] = place
    end
    traversals[object] = known
  end
  local keys = known.keys
  for i = place + 1, known.n do
    local value = rawget(object, keys[i])
    if value ~= nil then return keys[i], value end
  end
  traversals[object] = nil
  return nil
end

-- 1, 2, ... n and nothing else; false otherwise.
local function sequence_length(object)
  local n = 0
  for key in raw_next, object do
    n = n + 1
    if key ~= n then return false end
  end
  return n
end

local function iterator(object)
  local n = sequence_length(object)
  local plain = not getmetatable(object)
  local at = 0
  if n then
    return function(whose, key)
      if (key or 0) ~= at or whose ~= object then return ordered_next(whose, key) end
      while at < n do
        at = at + 1
        local value
        if plain then value = object[at] else value = rawget(object, at) end
        if value ~= nil then return at, value end
      end
      return nil
    end
  end
  local keys
  keys, n = ordered_keys(object)
  local last = nil
  return function(whose, key)
    if key ~= last or whose ~= object then return ordered_next(whose, key) end
    while at < n do
      at = at + 1
      last = keys[at]
      local value
      if plain then value = object[last] else value = rawget(object, last) end
      if value ~= nil then return last, value end
    end
    return nil
  end
end

local function ordered_pairs(...)
  local object = ...
  local meta = getmetatable(object)
  local own = meta and rawget(meta, "__pairs")
  if own ~= nil then
    local step, state, key, closing = own(object)
    return step, state, key, closing
  end
  if type(object) ~= "table" then
    if select("#", ...) == 0 then bad_argument(1, "pairs", "table expected, got no value") end
    library_error("bad argument #1 to 'for iterator' (table expected, got " .. core.type_name(object) .. ")")
  end
  return iterator(object), object, nil
end

core.pairs = ordered_pairs

return { table = library, next = ordered_next, pairs = ordered_pairs }
