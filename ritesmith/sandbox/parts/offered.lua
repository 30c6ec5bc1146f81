-- Tells the names that a script finds, as lines "global:member member ...". Loaded when they are asked for.

local core = ...
local environment, libraries, next, concat = core.environment, core.libraries, core.next, core.table.concat

function core.tell()
  -- To load a library is work that is paid for.
  core.fuel_max = core.math.maxinteger
  local lines = {}
  for name in next, environment do
    local members = {}
    for member in next, core.filled(libraries[name] or {}) do members[#members + 1] = member end
    lines[#lines + 1] = name .. ":" .. concat(members, " ")
  end
  return concat(lines, "\n")
end

return {}
