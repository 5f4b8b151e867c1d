/* GET /v1/conversions/{id} */

#include "services/gateway/gateway.h"

void gateway_get(struct http_request *request)
{
    struct claims claims;
    struct conversion record;
    if (gateway_authenticate(request, &claims) &&
        gateway_find_own(request, &claims, http_request_path_parameter(request, "id"), &record))
        gateway_answer_conversion(request, 200, &record);
}
