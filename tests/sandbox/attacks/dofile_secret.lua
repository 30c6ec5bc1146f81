-- technique: calls what is not there, dofile; must: error
function run(input)
  local found = dofile(input.secret_file)
  return input.marker or found
end
