-- The string library with its work bounded and paid for.
--
-- A pattern is measured before it runs: how many steps can the reference's matcher need on this text at most? Within
-- bounds the reference's own function runs, and the steps are charged. Beyond, a matcher written in Lua takes over; it
-- answers the same and each of its steps is counted as any instruction of the script.

local core = ...
local string, utf8, table, math = core.string, core.utf8, core.table, core.math
local charge, bad_argument, expected, library_error = core.charge, core.bad_argument, core.expected, core.library_error
local string_argument, integer_argument, finish = core.string_argument, core.integer_argument, core.finish
local tostring, raw_tostring, getmetatable, type_name = core.tostring, core.raw_tostring, core.getmetatable, core.type_name
local type, select, tonumber, next, raw_pcall = core.type, core.select, core.tonumber, core.next, core.pcall
local byte, sub, concat, unpack, math_type = string.byte, string.sub, table.concat, table.unpack, math.type
local raw_find, raw_match, raw_gmatch, raw_gsub, raw_rep, raw_format = string.find, string.match, string.gmatch,
  string.gsub, string.rep, string.format
local raw_lower, raw_upper, raw_reverse, char = string.lower, string.upper, string.reverse, string.char
local raw_pack, raw_packsize, raw_unpack = string.pack, string.packsize, string.unpack
local raw_utf8_len, raw_offset = utf8.len, utf8.offset
local mininteger, tointeger = math.mininteger, math.tointeger

-- What cannot run long is the reference's own; `sub`, the most used of all, even where it is given not a number.
local library = { sub = sub }

-- Steps of the reference's matcher that one call may need at most, and how many of them cost one unit of fuel.
local STEPS_MAX = 1 << 27
local STEP_SHIFT = 5
-- Below this many steps the rough bound is good enough.
local STEPS_SMALL = 1 << 12

-- A text without these is no pattern.
local SPECIAL = "[%^%$%*%+%?%.%(%[%%%-]"

-- ---------------------------------------------------------------- how much work a pattern can be

-- Where the single-character class at `at` ends (the place behind it), or nil where the pattern is malformed.
local function class_end(pattern, at)
  local c = byte(pattern, at)
  if c == 37 then
    if at + 1 > #pattern then return nil end
    return at + 2
  elseif c == 91 then
    at = at + 1
    if byte(pattern, at) == 94 then at = at + 1 end
    repeat
      c = byte(pattern, at)
      if not c then return nil end
      at = at + 1
      if c == 37 then
        if not byte(pattern, at) then return nil end
        at = at + 1
      end
    until byte(pattern, at) == 93
    return at + 1
  end
  return at + 1
end

local EVERY

-- The characters that a class matches.
local members_known, members_count = {}, 0
local function members(class)
  local known = members_known[class]
  if known then return known end
  if not EVERY then
    -- Made when it is first wanted: most scripts start and end without it.
    local all = {}
    for i = 0, 255 do all[i + 1] = char(i) end
    EVERY = concat(all)
  end
  if class == "." then
    known = EVERY
  else
    local found, n = {}, 0
    for one in raw_gmatch(EVERY, class) do
      n = n + 1
      found[n] = one
    end
    known = concat(found)
  end
  if members_count >= 100 then members_known, members_count = {}, 0 end
  members_known[class] = known
  members_count = members_count + 1
  return known
end

local function disjoint(class, other)
  if class == "." or other == "." then return false end
  local one, two = members(class), members(other)
  for i = 1, #one do
    if raw_find(two, sub(one, i, i), 1, true) then return false end
  end
  return true
end

-- A pattern, measured: `anchored`; `items`; `factors`: classes whose runs multiply the work, with ".": all of the text;
-- `sums`: classes whose runs add to it; `doubles`: optional items; `linear`: scans of the whole text.
local function measure(pattern)
  local size = #pattern
  local at = 1
  local anchored = byte(pattern, 1) == 94
  if anchored then at = 2 end
  -- One entry for each thing that takes part in matching: {class or nil, quantifier}.
  local parts, n, linear, opened, groups, sound = {}, 0, 0, 0, 0, true
  while at <= size do
    local c = byte(pattern, at)
    if c == 40 or c == 41 then
      opened = opened + (c == 40 and 1 or -1)
      if c == 40 then groups = groups + 1 end
      if opened < 0 then sound = false end
      at = at + 1
    elseif c == 36 and at == size then
      n = n + 1
      parts[n] = { final = true }
      at = at + 1
    elseif c == 37 and byte(pattern, at + 1) == 98 then
      n = n + 1
      linear = linear + 1
      sound = false
      parts[n] = {}
      at = at + 4
    elseif c == 37 and byte(pattern, at + 1) == 102 then
      n = n + 1
      sound = false
      parts[n] = {}
      local after = class_end(pattern, at + 2)
      if not after then break end
      at = after
    elseif c == 37 and raw_find(pattern, "^%d", at + 1) then
      n = n + 1
      linear = linear + 1
      sound = false
      parts[n] = {}
      at = at + 2
    else
      local after = class_end(pattern, at)
      if not after then
        sound = false
        break
      end
      n = n + 1
      local class = sub(pattern, at, after - 1)
      -- Alone, a caret would be an anchor.
      if class == "^" or class == "$" then class = "%" .. class end
      local quantifier = byte(pattern, after)
      if quantifier == 42 or quantifier == 43 or quantifier == 45 or quantifier == 63 then
        parts[n] = { class = class, quantifier = quantifier }
        after = after + 1
      else
        parts[n] = { class = class }
      end
      at = after
    end
  end

  local measured = { anchored = anchored, items = n + 1, linear = linear, doubles = 0, factors = {}, sums = {} }
  -- From the end: can what follows fail at all?
  local free = true
  for i = n, 1, -1 do
    local part = parts[i]
    local quantifier, following = part.quantifier, parts[i + 1]
    if quantifier == 63 then
      if not free then measured.doubles = measured.doubles + 1 end
    elseif quantifier then
      local last_dot = part.class == "." and quantifier ~= 45 and following and following.final
      local additive = free and quantifier ~= 45 or last_dot or following
        and (following.final or following.class and (not following.quantifier or following.quantifier == 43)
          and disjoint(part.class, following.class))
      if additive then
        measured.sums[#measured.sums + 1] = part.class
      elseif quantifier == 45 and following and following.class and not following.quantifier
        and #members(following.class) == 1 and i + 1 == n or free then
        -- A lazy run stops at the first of the one character behind it, since nothing after that can fail.
        if not free then
          measured.sums[#measured.sums + 1] = "[^%" .. members(following.class) .. "]"
          if raw_find(members(following.class), "%w") then
            measured.sums[#measured.sums] = "[^" .. members(following.class) .. "]"
          end
        end
      else
        measured.factors[#measured.factors + 1] = part.class
      end
      if quantifier == 43 then free = false elseif last_dot then free = true end
    else
      free = false
    end
  end
  -- One run that nothing follows: each character is looked at once or twice, however often it is tried.
  measured.one_run = n == 1 and #measured.sums == 1 and #measured.factors == 0 and not anchored
  measured.steps_each = 1 + (size >> 4)
  -- Unbalanced captures are judged as late as the reference's matcher does; its find knows no lone ')'.
  measured.groups = groups
  -- The reference cannot raise an error over it, so that no protection is needed around the call.
  measured.sound = sound and opened == 0 and groups <= 32 and n <= 100
  measured.special = raw_find(pattern, SPECIAL) ~= nil
  measured.odd = opened ~= 0 or raw_find(pattern, ")", 1, true) and not measured.special
  -- The same with two captures more: where a match begins, and the place behind it.
  if measured.sound and measured.special and groups <= 2 and not anchored and byte(pattern, size) ~= 36 then
    measured.places = "()" .. pattern .. "()"
  end
  return measured
end

local measured_patterns, measured_count = {}, 0
local function measured_of(pattern)
  if #pattern > 200 then charge(#pattern * 8) end
  local known = measure(pattern)
  if measured_count >= 500 then measured_patterns, measured_count = {}, 0 end
  measured_patterns[pattern] = known
  measured_count = measured_count + 1
  return known
end

-- The longest run of a class in a text. Kept for long texts, which are searched again and again.
local runs_known, runs_count = {}, 0
local function longest_run(text, class)
  if class == "." then return #text end
  local of_class = runs_known[class]
  local known = of_class and of_class[text]
  if known then return known end
  charge(#text >> 4)
  local longest = 0
  for first, after in raw_gmatch(text, "()" .. class .. "+()") do
    if after - first > longest then longest = after - first end
  end
  if #text > 200 then
    if runs_count >= 100 then runs_known, runs_count, of_class = {}, 0, nil end
    if not of_class then
      of_class = {}
      runs_known[class] = of_class
    end
    of_class[text] = longest
    runs_count = runs_count + 1
  end
  return longest
end

-- Steps that one try at one place can need at most, as a float.
local function steps_of_a_try(measured, text)
  local size = #text + 1.0
  local factors, sums = measured.factors, measured.sums
  local many, more = 1.0, measured.items + measured.linear * size
  if #factors == 0 and #sums == 0 then
    return more * measured.steps_each * 2.0 ^ measured.doubles
  end
  local rough = (more + #sums * size) * size ^ #factors * measured.steps_each * 2.0 ^ measured.doubles
  local tries = measured.anchored and 1 or size
  if rough * tries <= STEPS_SMALL then
    measured.small_size, measured.small_each = #text, rough
    return rough
  end
  for i = 1, #factors do many = many * (longest_run(text, factors[i]) + 1.0) end
  for i = 1, #sums do more = more + longest_run(text, sums[i]) end
  return more * many * measured.steps_each * 2.0 ^ measured.doubles
end

-- Is the reference's matcher within bounds for all places from `init`? Also the steps of one try.
local function bounded(pattern, text, init)
  local measured = measured_patterns[pattern] or measured_of(pattern)
  if #text == measured.small_size then return true, measured.small_each, measured end
  if measured.one_run then
    local steps = (#text - init + 2) * 2.0 * measured.steps_each
    return steps <= STEPS_MAX, 2.0 * measured.steps_each, measured
  end
  local each = steps_of_a_try(measured, text)
  local tries = measured.anchored and 1 or #text - init + 2
  return each * tries <= STEPS_MAX, each, measured
end

local PAID = 1 << (STEP_SHIFT + 1)
local function pay(steps)
  if steps >= PAID then charge(steps // (1 << STEP_SHIFT) | 0) end
end

-- ---------------------------------------------------------------- the matcher, in Lua

-- A port of the reference's matcher to places instead of pointers. `text`, `pattern` and the captures belong to the
-- search under way; no code of the script runs between its begin and its end.
local text, text_size, pattern, pattern_size, level, capture_at, capture_size, depth
local POSITION, OPEN = -2, -1
local DEPTH_MAX = 200

local function single(at, p, after)
  local c = byte(text, at)
  if not c then return false end
  local kind = byte(pattern, p)
  if kind == 46 then return true end
  if kind == 37 or kind == 91 then
    return raw_find(char(c), sub(pattern, p, after - 1)) ~= nil
  end
  return kind == c
end

local function behind_class(p)
  local c = byte(pattern, p)
  if c == 37 and p + 1 > pattern_size then library_error("malformed pattern (ends with '%')") end
  if c ~= 91 then return c == 37 and p + 2 or p + 1 end
  p = p + 1
  if byte(pattern, p) == 94 then p = p + 1 end
  repeat
    if p > pattern_size then library_error("malformed pattern (missing ']')") end
    c = byte(pattern, p)
    p = p + 1
    if c == 37 then
      -- An escape at the very end finds the bracket missing.
      p = p + 1
    end
  until byte(pattern, p) == 93 and p <= pattern_size or p > pattern_size and
    library_error("malformed pattern (missing ']')")
  return p + 1
end

-- Stands for a capture that the pattern never closed: an error only where somebody asks for it.
local UNFINISHED = {}

local function captured(i)
  local size = capture_size[i]
  if size == OPEN then return UNFINISHED end
  if size == POSITION then return capture_at[i] end
  return sub(text, capture_at[i], capture_at[i] + size - 1)
end

local function capture_index(c)
  local i = c - 48
  if i < 1 or i > level or capture_size[i] == OPEN then
    library_error("invalid capture index %" .. raw_tostring(i))
  end
  return i
end

local match_here

local function match_default(at, p)
  local after = behind_class(p)
  local quantifier = byte(pattern, after)
  if quantifier == 63 then
    if single(at, p, after) then
      local stopped = match_here(at + 1, after + 1)
      if stopped then return stopped end
    end
    return nil, at, after + 1
  elseif quantifier == 42 or quantifier == 43 then
    local least = quantifier == 43 and 1 or 0
    local i = 0
    while single(at + i, p, after) do i = i + 1 end
    while i >= least do
      local stopped = match_here(at + i, after + 1)
      if stopped then return stopped end
      i = i - 1
    end
    return nil
  elseif quantifier == 45 then
    while true do
      local stopped = match_here(at, after + 1)
      if stopped then return stopped end
      if not single(at, p, after) then return nil end
      at = at + 1
    end
  end
  if not single(at, p, after) then return nil end
  return nil, at + 1, after
end

local function match_balance(at, p)
  if p + 1 > pattern_size then library_error("malformed pattern (missing arguments to '%b')") end
  local opens, closes = byte(pattern, p, p + 1)
  if byte(text, at) ~= opens then return nil end
  local nested = 1
  for i = at + 1, text_size do
    local c = byte(text, i)
    if c == closes then
      nested = nested - 1
      if nested == 0 then return i + 1 end
    elseif c == opens then
      nested = nested + 1
    end
  end
  return nil
end

-- Where a match of the pattern from `p` ends (the place behind it) when it begins at `at`, or nil.
function match_here(at, p)
  depth = depth - 1
  if depth <= 0 then library_error("pattern too complex") end
  local result
  while true do
    if p > pattern_size then
      result = at
      break
    end
    local c = byte(pattern, p)
    if c == 40 then
      local i = level + 1
      if i > 32 then library_error("too many captures") end
      level = i
      capture_at[i] = at
      if byte(pattern, p + 1) == 41 then
        capture_size[i] = POSITION
        result = match_here(at, p + 2)
      else
        capture_size[i] = OPEN
        result = match_here(at, p + 1)
      end
      if not result then level = level - 1 end
      break
    elseif c == 41 then
      local i = level
      while i > 0 and capture_size[i] ~= OPEN do i = i - 1 end
      if i == 0 then library_error("invalid pattern capture") end
      capture_size[i] = at - capture_at[i]
      result = match_here(at, p + 1)
      if not result then capture_size[i] = OPEN end
      break
    elseif c == 36 and p == pattern_size then
      result = at == text_size + 1 and at or nil
      break
    elseif c == 37 and byte(pattern, p + 1) == 98 then
      local after = match_balance(at, p + 2)
      if not after then break end
      at, p = after, p + 4
    elseif c == 37 and byte(pattern, p + 1) == 102 then
      p = p + 2
      if byte(pattern, p) ~= 91 then library_error("missing '[' after '%f' in pattern") end
      local after = behind_class(p)
      local class = sub(pattern, p, after - 1)
      local previous = at == 1 and "\0" or sub(text, at - 1, at - 1)
      local present = at > text_size and "\0" or sub(text, at, at)
      if raw_find(previous, class) or not raw_find(present, class) then break end
      p = after
    elseif c == 37 and p < pattern_size and byte(pattern, p + 1) >= 48 and byte(pattern, p + 1) <= 57 then
      local i = capture_index(byte(pattern, p + 1))
      local size = capture_size[i]
      if size == POSITION then
        -- The reference compares the length of a position, which no text has.
        break
      end
      charge(size >> 4)
      if at + size - 1 > text_size or sub(text, capture_at[i], capture_at[i] + size - 1) ~= sub(text, at, at + size - 1) then
        break
      end
      at, p = at + size, p + 2
    else
      local stopped, next_at, next_p = match_default(at, p)
      if stopped or not next_at then
        result = stopped
        break
      end
      at, p = next_at, next_p
    end
  end
  depth = depth + 1
  return result
end

-- As the reference's find: first and last place of the first match from `init`, and the captures.
local function metered_find(subject, wanted, init, literal_caret)
  local anchored = not literal_caret and byte(wanted, 1) == 94
  local outer = { text, text_size, pattern, pattern_size }
  text, text_size, pattern, pattern_size = subject, #subject, wanted, #wanted
  capture_at, capture_size = {}, {}
  local at = init
  repeat
    level, depth = 0, DEPTH_MAX
    local after = match_here(at, anchored and 2 or 1)
    if after then
      local found = {}
      for i = 1, level do found[i] = captured(i) end
      text, text_size, pattern, pattern_size = outer[1], outer[2], outer[3], outer[4]
      return at, after - 1, unpack(found)
    end
    at = at + 1
  until anchored or at > text_size + 1
  text, text_size, pattern, pattern_size = outer[1], outer[2], outer[3], outer[4]
  return nil
end

local function finished(...)
  for i = 1, select("#", ...) do
    if (select(i, ...)) == UNFINISHED then library_error("unfinished capture") end
  end
  return ...
end

-- ---------------------------------------------------------------- find, match, gmatch, gsub

local function start_place(init, size)
  if init > 0 then return init end
  if init == 0 then return 1 end
  if init < -size then return 1 end
  return size + init + 1
end

local function plain_find(subject, wanted, init)
  local rest, size = #subject - init + 1, #wanted
  if size <= 1 or rest * 1.0 * size <= 1 << 24 then
    charge(rest >> 6)
    return raw_find(subject, wanted, init, true)
  end
  -- The beginning is looked for in C; each place it is found at is compared, and paid for.
  local beginning = sub(wanted, 1, 64)
  while true do
    local first = raw_find(subject, beginning, init, true)
    if not first then
      charge((#subject - init + 1) >> 1)
      return nil
    end
    charge(((first - init) >> 1) + (size >> 4) + 1)
    if first + size - 1 > #subject then return nil end
    if sub(subject, first, first + size - 1) == wanted then return first, first + size - 1 end
    init = first + 1
  end
end

local function paid(each, init, size, first, ...)
  local tries = (first or size + 1) - init + 1
  pay(each * tries)
  return first, ...
end

-- As the reference's find with a pattern, charged; an unfinished capture comes as UNFINISHED.
local function pattern_find(subject, wanted, init, literal_caret)
  if literal_caret and byte(wanted, 1) == 94 then wanted = "%" .. wanted end
  local fits, each, measured = bounded(wanted, subject, init)
  if fits and measured.sound and not measured.odd then
    if not measured.anchored then return paid(each, init, #subject, raw_find(subject, wanted, init)) end
    pay(each)
    return raw_find(subject, wanted, init)
  elseif fits and not measured.odd then
    if measured.anchored then
      pay(each)
      return finish("find", raw_pcall(raw_find, subject, wanted, init))
    end
    return paid(each, init, #subject, finish("find", raw_pcall(raw_find, subject, wanted, init)))
  end
  return metered_find(subject, wanted, init)
end

function library.find(subject, wanted, init, plain)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "find") end
  if type(wanted) ~= "string" then wanted = string_argument(wanted, 2, "find") end
  local size = #subject
  if init == nil then
    init = 1
  else
    init = start_place(integer_argument(init, 3, "find"), size)
    if init > size + 1 then return nil end
  end
  if plain or not raw_find(wanted, SPECIAL) then return plain_find(subject, wanted, init) end
  return finished(pattern_find(subject, wanted, init))
end

local function captures(subject, first, last, ...)
  if not first then return nil end
  if select("#", ...) == 0 then return sub(subject, first, last) end
  return ...
end

function library.match(subject, wanted, init)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "match") end
  if type(wanted) ~= "string" then wanted = string_argument(wanted, 2, "match") end
  local size = #subject
  if init == nil then
    init = 1
  else
    init = start_place(integer_argument(init, 3, "match"), size)
    if init > size + 1 then return nil end
  end
  return captures(subject, finished(pattern_find(subject, wanted, init)))
end

function library.gmatch(subject, wanted, init)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "gmatch") end
  if type(wanted) ~= "string" then wanted = string_argument(wanted, 2, "gmatch") end
  local size = #subject
  if init == nil then init = 1 else init = start_place(integer_argument(init, 3, "gmatch"), size) end
  if init > size + 1 then init = size + 2 end
  local literal = byte(wanted, 1) == 94 and "%" .. wanted or wanted
  local fits, each = bounded(literal, subject, init)
  if fits then
    pay(each * (size - init + 2))
    return raw_gmatch(subject, wanted, init)
  end
  local last_end
  local function step(first, last, ...)
    if first and last + 1 == last_end then
      -- An empty match where the one before ended: the next place is tried.
      if first + 1 > size + 1 then return nil end
      return step(finished(metered_find(subject, literal, first + 1)))
    end
    if not first then
      init = size + 2
      return nil
    end
    init, last_end = last + 1, last + 1
    return captures(subject, first, last, ...)
  end
  return function()
    if init > size + 1 then return nil end
    return step(finished(metered_find(subject, literal, init)))
  end
end

-- A replacement text with its references filled in.
local function expanded(replacement, subject, first, last, ...)
  local pieces, n, at = {}, 0, 1
  while true do
    local sign = raw_find(replacement, "%", at, true)
    if not sign then break end
    n = n + 1
    pieces[n] = sub(replacement, at, sign - 1)
    local c = byte(replacement, sign + 1)
    n = n + 1
    if c == 37 then
      pieces[n] = "%"
    elseif c == 48 then
      pieces[n] = sub(subject, first, last)
    elseif c and c >= 49 and c <= 57 then
      local i = c - 48
      local count = select("#", ...)
      if i == 1 and count == 0 then
        pieces[n] = sub(subject, first, last)
      elseif i > count then
        library_error("invalid capture index %" .. raw_tostring(i))
      else
        pieces[n] = raw_tostring(finished((select(i, ...))))
      end
    else
      library_error("invalid use of '%' in replacement string")
    end
    at = sign + 2
  end
  n = n + 1
  pieces[n] = sub(replacement, at)
  return finish("gsub", raw_pcall(concat, pieces, "", 1, n))
end

local function replaced(replacement, kind, subject, first, last, ...)
  local value
  if kind == "string" then
    return expanded(replacement, subject, first, last, ...)
  elseif select("#", ...) == 0 then
    local whole = sub(subject, first, last)
    if kind == "function" then value = replacement(whole) else value = replacement[whole] end
  elseif kind == "function" then
    value = replacement(finished(...))
  else
    value = replacement[finished((...))]
  end
  if not value then return sub(subject, first, last) end
  if type(value) == "string" then return value end
  if type(value) == "number" then return tostring(value) end
  library_error("invalid replacement value (a " .. type_name(value) .. ")")
end

-- The usual case of a function: a pattern that has `places`, within bounds. What is found does not depend on what is put
-- in its place, so that the reference's gmatch finds it, and says where.
local function gsub_by_function(subject, replacement, most, measured)
  local pieces, n, copied, groups = {}, 0, 1, measured.groups
  most = 2 * most
  for first, a, b, c in raw_gmatch(subject, measured.places) do
    if n >= most then break end
    local value, after
    if groups == 0 then
      value, after = replacement(sub(subject, first, a - 1)), a
    elseif groups == 1 then
      value, after = replacement(a), b
    else
      value, after = replacement(a, b), c
    end
    local kind = type(value)
    if kind ~= "string" then
      if not value then
        value = sub(subject, first, after - 1)
      elseif kind == "number" then
        value = tostring(value)
      else
        library_error("invalid replacement value (a " .. type_name(value) .. ")")
      end
    end
    pieces[n + 1] = sub(subject, copied, first - 1)
    n = n + 2
    pieces[n] = value
    copied = after
  end
  if n == 0 then return subject, 0 end
  pieces[n + 1] = sub(subject, copied)
  local result = finish("gsub", raw_pcall(concat, pieces, "", 1, n + 1))
  if #result > 64 then charge(#result >> 5) end
  return result, n >> 1
end

-- A table with not a number as we spell it; nil where it holds none.
local function without_nan(replacement)
  local spelled
  for key, value in next, replacement do
    if type(value) == "number" and value ~= value then
      spelled = {}
      break
    end
  end
  if spelled then
    for key, value in next, replacement do
      if value ~= value then value = "nan" end
      spelled[key] = value
    end
  end
  return spelled
end

function library.gsub(subject, wanted, replacement, most)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "gsub") end
  if type(wanted) ~= "string" then wanted = string_argument(wanted, 2, "gsub") end
  local kind = type(replacement)
  if kind == "number" then
    replacement = tostring(replacement)
    kind = "string"
  elseif kind ~= "string" and kind ~= "function" and kind ~= "table" then
    expected(3, "gsub", "string/function/table", replacement)
  end
  local size = #subject
  if most == nil then most = size + 1 else most = integer_argument(most, 4, "gsub") end
  local fits, each, measured = bounded(wanted, subject, 1)
  if fits and (kind == "string" or kind == "table" and not getmetatable(replacement)) then
    pay(measured.anchored and each or each * (size + 1))
    local result, count = finish("gsub", raw_pcall(raw_gsub, subject, wanted, replacement, most))
    charge(#result >> 5)
    if kind == "table" and raw_find(result, "nan", 1, true) then
      local spelled = without_nan(replacement)
      if spelled then return finish("gsub", raw_pcall(raw_gsub, subject, wanted, spelled, most)) end
    end
    return result, count
  end
  if fits and kind == "function" and measured.places then
    pay((each + 2) * (size + 1))
    return gsub_by_function(subject, replacement, most < size + 1 and most or size + 1, measured)
  end
  local anchored = byte(wanted, 1) == 94
  local pieces, n, count, at, last_end = {}, 0, 0, 1, nil
  local copied = 1
  local function one(first, last, ...)
    if first and last + 1 == last_end then
      if first > size or anchored then return false end
      return one(pattern_find(subject, wanted, first + 1))
    end
    if not first then return false end
    n = n + 1
    pieces[n] = sub(subject, copied, first - 1)
    local value = replaced(replacement, kind, subject, first, last, ...)
    n = n + 1
    pieces[n] = value
    count = count + 1
    at, copied, last_end = last + 1, last + 1, last + 1
    return true
  end
  while count < most and at <= size + 1 do
    if not one(pattern_find(subject, wanted, at)) or anchored then break end
  end
  if count == 0 then return subject, 0 end
  n = n + 1
  pieces[n] = sub(subject, copied)
  local result = finish("gsub", raw_pcall(concat, pieces, "", 1, n))
  charge(#result >> 5)
  return result, count
end

-- ---------------------------------------------------------------- rep, format, pack, case

function library.rep(subject, count, separator)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "rep") end
  count = integer_argument(count, 2, "rep")
  if separator == nil then separator = "" else separator = string_argument(separator, 3, "rep") end
  if count <= 0 then return "" end
  local each = #subject + #separator
  if each == 0 then return "" end
  local total = each * 1.0 * count
  if total < 1 << 40 then charge((count >> 3) + (total // 32 | 0)) end
  return finish("rep", raw_pcall(raw_rep, subject, count, separator))
end

function library.char(...)
  local code = ...
  if select("#", ...) == 1 and math_type(code) == "integer" and code >= 0 and code <= 255 then return char(code) end
  return finish("char", raw_pcall(char, ...))
end

function library.byte(subject, first, last)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "byte") end
  if first == nil then first = 1 elseif math_type(first) ~= "integer" then first = integer_argument(first, 2, "byte") end
  if last == nil then return byte(subject, first) end
  last = integer_argument(last, 3, "byte")
  if #subject > 100 then
    -- Each result takes a place on the stack.
    local from, to = start_place(first, #subject), last < 0 and #subject + last + 1 or last
    if to > #subject then to = #subject end
    if to > from then charge(to - from) end
    return finish("byte", raw_pcall(byte, subject, first, last))
  end
  return byte(subject, first, last)
end

function library.len(subject)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "len") end
  return #subject
end

function library.lower(subject)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "lower") end
  if #subject <= 64 then return raw_lower(subject) end
  charge(#subject >> 5)
  return finish("lower", raw_pcall(raw_lower, subject))
end

function library.upper(subject)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "upper") end
  if #subject <= 64 then return raw_upper(subject) end
  charge(#subject >> 5)
  return finish("upper", raw_pcall(raw_upper, subject))
end

function library.reverse(subject)
  if type(subject) ~= "string" then subject = string_argument(subject, 1, "reverse") end
  if #subject <= 64 then return raw_reverse(subject) end
  charge(#subject >> 5)
  return finish("reverse", raw_pcall(raw_reverse, subject))
end

-- Formats are read once: does any directive show something that the reference would show by address or by platform?
-- 2 where its text can be slow to make, digit by digit or byte by byte; otherwise 1, or false.
local formats_known, formats_count = {}, 0
local function needs_care(format)
  local care = raw_find(format, "%%[^%%%a]*[qaAeEfFgG]") and 2 or raw_find(format, "%%[^%%%a]*[sp]") and 1 or false
  if formats_count >= 200 then formats_known, formats_count = {}, 0 end
  formats_known[format] = care
  formats_count = formats_count + 1
  return care
end

-- Shown alike by the reference and by us, whatever the directive.
local SHOWN_ALIKE = { string = true, number = true, boolean = true, ["nil"] = true }
local function harmless(a, b, c, d, ...)
  if not (SHOWN_ALIKE[type(a)] and SHOWN_ALIKE[type(b)] and SHOWN_ALIKE[type(c)] and SHOWN_ALIKE[type(d)]) then
    return false
  end
  if a ~= a or b ~= b or c ~= c or d ~= d then return false end
  if select("#", ...) > 0 then return harmless(...) end
  return true
end

local function careful_format(format, ...)
  local pieces, n, argument, at, count = {}, 0, 0, 1, select("#", ...)
  while true do
    local sign = raw_find(format, "%", at, true)
    n = n + 1
    pieces[n] = sub(format, at, (sign or 0) - 1)
    if not sign then break end
    local flags, conversion, after = raw_match(format, "^([%-+ #0]*%d*%.?%d*)(.?)()", sign + 1)
    local directive = "%" .. flags .. conversion
    n = n + 1
    if conversion == "%" and flags == "" then
      pieces[n] = "%"
    else
      argument = argument + 1
      if argument > count then bad_argument(argument + 1, "format", "no value") end
      local value = (select(argument, ...))
      local kind = type(value)
      if conversion == "s" then
        pieces[n] = finish("format", raw_pcall(raw_format, directive, tostring(value)))
      elseif conversion == "p" then
        library_error("'%p' is not offered in 'format': addresses differ in each process")
      else
        if kind == "string" and conversion ~= "q" and tonumber(value) then value = tonumber(value) end
        local ok, shown = raw_pcall(raw_format, directive, value)
        if not ok then
          local what = raw_match(shown, "^bad argument #%d+ to '[^']*' %((.*)%)$")
          if what then bad_argument(argument + 1, "format", what) end
          finish("format", false, shown)
        end
        if value ~= value and raw_find(conversion, "[aAeEfFgG]") then
          local left, width = raw_match(flags, "^[+ #0]*(%-?)[%-+ #0]*(%d*)")
          if raw_find(flags, "-", 1, true) then left = "-" end
          shown = raw_format("%" .. left .. width .. "s", raw_find(conversion, "%u") and "NAN" or "nan")
        end
        pieces[n] = shown
      end
    end
    at = after
  end
  return finish("format", raw_pcall(concat, pieces, "", 1, n))
end

function library.format(format, ...)
  if type(format) ~= "string" then format = string_argument(format, 1, "format") end
  if #format > 64 then charge(#format >> 3) end
  local result
  local care = formats_known[format]
  if care == nil then care = needs_care(format) end
  if care and not harmless(...) then
    result = careful_format(format, ...)
  else
    result = finish("format", raw_pcall(raw_format, format, ...))
  end
  if #result > 64 then charge(#result >> (care == 2 and 1 or 5)) end
  return result
end

local function charge_format(format)
  if type(format) == "string" and #format > 64 then charge(#format >> 3) end
end

function library.packsize(...)
  charge_format((...))
  return finish("packsize", raw_pcall(raw_packsize, ...))
end

-- Pay for the bytes that were read: the last value is the place behind them.
local function read_from(place, ...)
  local bytes = select(-1, ...) - (math_type(place) == "integer" and place > 0 and place or 1)
  if bytes > 64 then charge(bytes >> 5) end
  return ...
end

function library.unpack(...)
  charge_format((...))
  local _, _, place = ...
  return read_from(place, finish("unpack", raw_pcall(raw_unpack, ...)))
end

function library.pack(...)
  charge_format((...))
  local result = finish("pack", raw_pcall(raw_pack, ...))
  if #result > 64 then charge(#result >> 4) end
  return result
end

-- ---------------------------------------------------------------- utf8

local raw_utf8_char = utf8.char
local unicode = { charpattern = utf8.charpattern, codes = utf8.codes }
local raw_codepoint = utf8.codepoint

local function pay_for_each(...)
  local count = select("#", ...)
  if count > 8 then charge(count) end
  return ...
end

function unicode.codepoint(...)
  return pay_for_each(finish("codepoint", raw_pcall(raw_codepoint, ...)))
end

function unicode.char(...)
  return finish("char", raw_pcall(raw_utf8_char, ...))
end

function unicode.len(subject, ...)
  if type(subject) == "string" and #subject > 64 then charge(#subject >> 4) end
  return finish("len", raw_pcall(raw_utf8_len, subject, ...))
end

-- A character may have any number of bytes in a text that is none; pay for those that were passed over.
local function walked(subject, count, from, ok, first, ...)
  local size = type(subject) == "string" and #subject or 0
  if size > 64 then
    if math_type(from) ~= "integer" then from = (tointeger(count) or 1) > 0 and 1 or size + 1 end
    local bytes = ok and first and first - start_place(from, size) or size
    charge((bytes < 0 and -bytes or bytes) >> 3)
  end
  return finish("offset", ok, first, ...)
end

function unicode.offset(subject, count, ...)
  if math_type(count) == "integer" and count ~= mininteger then
    local steps = count < 0 and -count or count
    if type(subject) == "string" and steps > #subject then steps = #subject end
    charge(steps >> 3)
  end
  return walked(subject, count, (...), raw_pcall(raw_offset, subject, count, ...))
end

return { string = library, utf8 = unicode }
