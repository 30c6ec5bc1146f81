-- One of the libraries in `libraries/`, loaded when the script looks something of it up. All other parts come before it.

local core, group, bytecode, checks_bytecode = ...
local environment, libraries, load, next = core.environment, core.libraries, core.load, core.next

-- Of what scripts have, the part that these libraries need, and a way to raise an error where the script called. They run
-- as code of the script does, under its limits.
core.for_libraries = core.for_libraries or {
  ipairs = environment.ipairs,
  json = libraries.json,
  math = libraries.math,
  next = environment.next,
  pairs = environment.pairs,
  select = environment.select,
  string = libraries.string,
  table = libraries.table,
  tonumber = environment.tonumber,
  tostring = environment.tostring,
  type = environment.type,
  utf8 = libraries.utf8,
}

local library = {}

local function fill()
  local given = core.for_libraries
  if not core.checks then core.checks = load(checks_bytecode, "=?", "b", given)(core.library_error) end
  for name, member in next, load(bytecode, "=?", "b", given)(core.checks) do library[name] = member end
end

return { [group] = core.filled_later(library, fill) }
