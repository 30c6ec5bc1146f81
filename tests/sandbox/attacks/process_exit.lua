-- technique: calls what is not there, os.exit; must: error
function run(input)
  local found = os.exit(0, true)
  return input.marker or found
end
