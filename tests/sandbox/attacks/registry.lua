-- technique: calls what is not there, debug.getregistry; must: error
function run(input)
  local found = debug.getregistry()
  return input.marker or found
end
